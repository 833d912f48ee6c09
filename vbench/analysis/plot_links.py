"""Pictures of the nodes' NICs over time, one trial an arm, against the caps of their links."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.plots import new_figure, save, tidy, title
from vbench.analysis.results import Arm, Scenario
from vbench.record import NodeSample, Trial, read_samples, read_trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SENT, RECEIVED = "#D55E00", "#0072B2"

IDLE = 0.05
"""A node whose rate never came to this share of the busiest one's has no row of its own."""


def rates(samples: Sequence[NodeSample]) -> tuple[list[float], list[float], list[float]]:
    """Of one node: moments (monotonic s, the middle between two samples), Mbit/s sent and Mbit/s received."""
    moments, sent, received = [], [], []
    for before, after in pairwise(samples):
        passed_s = after.at_s - before.at_s
        if passed_s <= 0:
            continue
        moments.append((before.at_s + after.at_s) / 2)
        sent.append((after.nic_sent_bytes - before.nic_sent_bytes) * 8e-6 / passed_s)
        received.append((after.nic_received_bytes - before.nic_received_bytes) * 8e-6 / passed_s)
    return moments, sent, received


def links(scenario: Scenario, path: Path) -> Path | None:
    """The NICs of one trial of each arm (its first), a row a node that carried something and a column an arm;
    None for trials on one node, whose NIC nothing has to use."""
    shown = [(arm, _trial(arm), read_samples(Path(arm.points[0].folder))) for arm in scenario.arms]
    peaks: dict[str, float] = {}
    for _, _, samples in shown:
        for node in dict.fromkeys(sample.node for sample in samples):
            _, sent, received = rates([sample for sample in samples if sample.node == node])
            peaks[node] = max([peaks.get(node, 0.0), *sent, *received])
    if len(peaks) < 2:
        return None
    nodes = [node for node, peak in peaks.items() if peak >= IDLE * max(peaks.values())]
    idle = [node for node in peaks if node not in nodes]
    figure = new_figure(max(6.0, 3.6 * len(shown)), 1.5 * len(nodes) + 1.5)
    panels = figure.subplots(len(nodes), len(shown), squeeze=False, sharex=True, sharey="row")
    for column, (arm, trial, samples) in enumerate(shown):
        for row, node in enumerate(nodes):
            axes = panels[row, column]
            _node(axes, trial, [sample for sample in samples if sample.node == node])
            if column == 0:
                axes.set_ylabel(f"{node}\n(Mbit/s)", fontsize=9)
            if row == 0:
                axes.set_title(f"{arm.name}\nblock {arm.points[0].block}", fontsize=9.5)
        panels[-1, column].set_xlabel("time since the first request was due (s)", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    aside = f" (hardly used: {', '.join(idle)})" if idle else ""
    title(figure, f"NICs over time: {scenario.name}{aside}")
    return save(figure, path)


def _trial(arm: Arm) -> Trial:
    return read_trial(Path(arm.points[0].folder))


def _node(axes: "Axes", trial: Trial, samples: Sequence[NodeSample]) -> None:
    moments, sent, received = rates(samples)
    start_s = trial.observed.measured_from_s if trial.observed else (moments or [0.0])[0]
    times = [moment - start_s for moment in moments]
    axes.plot(times, sent, color=SENT, lw=1.1, label="sent")
    axes.plot(times, received, color=RECEIVED, lw=1.1, label="received")
    caps = (
        [link for link in trial.network.links if link.node == samples[0].node]
        if trial.network and samples
        else []
    )
    for link in caps:
        axes.axhline(link.nic_mbps, color="black", lw=0.9, ls="--", label="cap of the NIC")
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=8)
    tidy(axes)
