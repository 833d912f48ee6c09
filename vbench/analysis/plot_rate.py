"""Picture of what each number of connections gives: rate of transfer against the caps of flows and NICs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.arms import connections
from vbench.analysis.plots import new_figure, save, tidy, title
from vbench.analysis.results import Comparison, Point, Scenario
from vbench.record import Link, read_trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRANSFER = "transfer_mbps"
LINK = "link_rate_mbps."


def rate(comparison: Comparison, path: Path) -> Path | None:
    """A panel a scenario: Mbit/s of each trial over connections, beside min(connections x flow cap, NIC cap).

    The rate is that of the objects where there is nothing but their transfer, else the busiest link's while
    bytes moved. None where no number of connections was compared, or where a trial has no shaped link.
    """
    scenarios = [each for each in comparison.scenarios if _fits(each)]
    if not scenarios:
        return None
    figure = new_figure(max(6.5, 4.6 * len(scenarios)), 4.6)
    panels = figure.subplots(1, len(scenarios), squeeze=False)[0]
    for axes, scenario in zip(panels, scenarios, strict=True):
        _panel(axes, scenario)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    title(figure, "What connections give, against the caps of the links")
    return save(figure, path)


def _fits(scenario: Scenario) -> bool:
    points = [point for arm in scenario.arms for point in arm.points]
    return all(set(arm.settings) == {"runtime.connections"} for arm in scenario.arms) and all(
        _rate(point) is not None and read_trial(Path(point.folder)).network for point in points
    )


def _rate(point: Point) -> float | None:
    if TRANSFER in point.metrics:
        return point.metrics[TRANSFER]
    links = [value for name, value in point.metrics.items() if name.startswith(LINK)]
    return max(links, default=None)


def _panel(axes: "Axes", scenario: Scenario) -> None:
    trials = [read_trial(Path(arm.points[0].folder)) for arm in scenario.arms]
    counts = [connections(trial) for trial in trials]
    means = []
    for count, arm in zip(counts, scenario.arms, strict=True):
        values = [value for point in arm.points if (value := _rate(point)) is not None]
        axes.plot(
            [count] * len(values), values, "o", color="#0072B2", ms=4, alpha=0.5, mew=0, label=_once(axes)
        )
        means.append(sum(values) / len(values))
    transfer = all(TRANSFER in point.metrics for arm in scenario.arms for point in arm.points)
    axes.plot(counts, means, "-", color="#0072B2", lw=1.4, label="mean over trials")
    links = trials[0].network.links if trials[0].network else []
    flow, nic = _caps(links)
    fine = [2 ** (i / 20) for i in range(round(20 * math.log2(max(counts))) + 1)]
    axes.plot(
        fine,
        [min(x * flow, nic) for x in fine],
        "--",
        color="black",
        lw=1,
        label="connections x cap of one, or the NIC",
    )
    axes.axhline(nic, color="#D55E00", lw=1, ls=":", label=f"NIC, {nic:g} Mbit/s")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_ylim(0, 1.08 * max(nic, *means))
    axes.set_xlabel(f"connections of {flow:g} Mbit/s from one node to another")
    axes.set_ylabel("rate of a transfer (Mbit/s)" if transfer else "rate of the busiest link (Mbit/s)")
    axes.set_title(scenario.name, fontsize=10)
    tidy(axes)


def _once(axes: "Axes") -> str:
    """A label for the first of many, which matplotlib takes into the legend; not for the others."""
    return "a trial" if not axes.lines else "_others"


def _caps(links: Sequence[Link]) -> tuple[float, float]:
    """The flow cap, and the NIC cap of the slowest link that is not the head's, which moves no frames."""
    rest = links[1:] or links
    return min(link.flow_mbps for link in rest), min(link.nic_mbps for link in rest)
