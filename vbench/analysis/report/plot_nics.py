"""Plots of the nodes' NICs over time, one trial per arm, with the caps of their links."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vbench.analysis.report.plots import legend, new_figure, save, tidy, title
from vbench.analysis.results import Scenario
from vbench.record.files import read_requests, read_samples, read_trial
from vbench.record.link_caps import LinkCaps
from vbench.record.link_use import NodeIntervals, sample_intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SENT, RECEIVED = "#D55E00", "#0072B2"

IDLE = 0.05
"""A node whose rate never reached this share of the busiest node's has no row."""


def links(scenario: Scenario, path: Path) -> Path | None:
    """Write the plot of a scenario's NICs; None for trials on one node, which needs no NIC."""
    figure = draw(scenario)
    return None if figure is None else save(figure, path)


def draw(scenario: Scenario) -> "Figure | None":
    """Plot the NICs of each arm's first trial: one row per node with traffic, one column per arm. None for
    trials on one node."""
    shown = [(arm, _OfTrial.read(Path(arm.trials[0].folder))) for arm in scenario.arms]
    peaks: dict[str, float] = {}
    for _, trial in shown:
        for one in trial.intervals:
            for node, interval in one.items():
                peaks[node] = max(peaks.get(node, 0.0), interval.rate_mbps)
    if len(peaks) < 2:
        return None
    nodes = [node for node, peak in peaks.items() if peak >= IDLE * max(peaks.values())]
    idle = [node for node in peaks if node not in nodes]
    figure = new_figure(max(6.0, 3.6 * len(shown)), 1.5 * len(nodes) + 1.5)
    panels = figure.subplots(len(nodes), len(shown), squeeze=False, sharex=True, sharey="row")
    for column, (arm, trial) in enumerate(shown):
        for row, node in enumerate(nodes):
            axes = panels[row, column]
            _node(axes, trial, node)
            if column == 0:
                axes.set_ylabel(f"{node}\n(Mbit/s)", fontsize=9)
            if row == 0:
                axes.set_title(f"{arm.name}\nblock {arm.trials[0].block}", fontsize=9.5)
        panels[-1, column].set_xlabel("time since the first request was due (s)", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylim(bottom=0)  # only now: it also ends the growing of what a row shares
    handles, labels = panels[0, 0].get_legend_handles_labels()
    legend(figure, handles, labels, most_columns=3)
    aside = f" (not shown, nearly idle: {', '.join(idle)})" if idle else ""
    title(figure, f"NICs over time: {scenario.name}{aside}")
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfTrial:
    """What the plot shows of one trial."""

    intervals: Sequence[NodeIntervals]
    start_s: float
    """When the first request was due, in monotonic seconds."""
    caps: LinkCaps | None
    """Of the shaped links; None if no link is shaped."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From the trial's record in ``folder``."""
        network = read_trial(folder).network
        return cls(
            intervals=sample_intervals(read_samples(folder)),
            start_s=min(request.scheduled_s for request in read_requests(folder)),
            caps=LinkCaps.of(network) if network else None,
        )


def _node(axes: "Axes", trial: _OfTrial, node: str) -> None:
    """One node's rates; each stands in the middle between its two samples."""
    intervals = [one[node] for one in trial.intervals if node in one]
    times = [(interval.from_s + interval.to_s) / 2 - trial.start_s for interval in intervals]
    axes.plot(times, [interval.sent_mbps for interval in intervals], color=SENT, lw=1.1, label="sent")
    axes.plot(
        times, [interval.received_mbps for interval in intervals], color=RECEIVED, lw=1.1, label="received"
    )
    if trial.caps is not None and node in trial.caps.first:
        caps = [trial.caps.mean(node, interval.from_s, interval.to_s).nic_mbps for interval in intervals]
        if len(set(caps)) > 1:
            axes.plot(
                times, caps, color="black", lw=0.9, ls="--", label="cap of the NIC", drawstyle="steps-mid"
            )
        else:
            cap_mbps = caps[0] if caps else trial.caps.first[node].nic_mbps
            axes.axhline(cap_mbps, color="black", lw=0.9, ls="--", label="cap of the NIC")
    axes.tick_params(labelsize=8)
    tidy(axes)
