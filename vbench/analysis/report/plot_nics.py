"""Pictures of the nodes' NICs over time, one trial an arm, against the caps of their links."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.report.plots import legend, new_figure, save, tidy, title
from vbench.analysis.results import Arm, Scenario
from vbench.record.files import read_samples, read_trial
from vbench.record.link_use import Interval, rounds
from vbench.record.types import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SENT, RECEIVED = "#D55E00", "#0072B2"

IDLE = 0.05
"""A node whose rate never came to this share of the busiest one's has no row of its own."""


def links(scenario: Scenario, path: Path) -> Path | None:
    """The NICs of one trial of each arm (its first), a row a node that carried something and a column an arm;
    None for trials on one node, whose NIC nothing has to use."""
    shown = [(arm, _trial(arm), rounds(read_samples(Path(arm.points[0].folder)))) for arm in scenario.arms]
    peaks: dict[str, float] = {}
    for _, _, each in shown:
        for one in each:
            for node, interval in one.items():
                peaks[node] = max(peaks.get(node, 0.0), interval.rate_mbps)
    if len(peaks) < 2:
        return None
    nodes = [node for node, peak in peaks.items() if peak >= IDLE * max(peaks.values())]
    idle = [node for node in peaks if node not in nodes]
    figure = new_figure(max(6.0, 3.6 * len(shown)), 1.5 * len(nodes) + 1.5)
    panels = figure.subplots(len(nodes), len(shown), squeeze=False, sharex=True, sharey="row")
    for column, (arm, trial, each) in enumerate(shown):
        for row, node in enumerate(nodes):
            axes = panels[row, column]
            _node(axes, trial, node, [one[node] for one in each if node in one])
            if column == 0:
                axes.set_ylabel(f"{node}\n(Mbit/s)", fontsize=9)
            if row == 0:
                axes.set_title(f"{arm.name}\nblock {arm.points[0].block}", fontsize=9.5)
        panels[-1, column].set_xlabel("time since the first request was due (s)", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylim(bottom=0)  # only now: it also ends the growing of what a row shares
    handles, labels = panels[0, 0].get_legend_handles_labels()
    legend(figure, handles, labels, most_columns=3)
    aside = f" (hardly used: {', '.join(idle)})" if idle else ""
    title(figure, f"NICs over time: {scenario.name}{aside}")
    return save(figure, path)


def _trial(arm: Arm) -> Trial:
    return read_trial(Path(arm.points[0].folder))


def _node(axes: "Axes", trial: Trial, node: str, intervals: Sequence[Interval]) -> None:
    """Each rate stands in the middle between its two looks."""
    moments = [(each.from_s + each.to_s) / 2 for each in intervals]
    start_s = trial.observed.measured_from_s if trial.observed else (moments or [0.0])[0]
    times = [moment - start_s for moment in moments]
    axes.plot(times, [each.sent_mbps for each in intervals], color=SENT, lw=1.1, label="sent")
    axes.plot(times, [each.received_mbps for each in intervals], color=RECEIVED, lw=1.1, label="received")
    for link in trial.network.links if trial.network else []:
        if link.node != node:
            continue
        axes.axhline(link.nic_mbps, color="black", lw=0.9, ls="--", label="cap of the NIC")
    axes.tick_params(labelsize=8)
    tidy(axes)
