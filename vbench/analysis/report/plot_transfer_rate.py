"""Picture of what each number of connections gives: rate of transfers against the caps of flows and NICs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.report.plots import legend, new_figure, save, tidy, title
from vbench.analysis.results import Arm, Comparison, Scenario
from vbench.analysis.transfer_rate import RATE, Reached

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE, NIC = "#0072B2", "#D55E00"


def rate(comparison: Comparison, path: Path) -> Path | None:
    """A panel a scenario: Mbit/s of each trial over connections, beside min(connections x flow cap, NIC cap).

    Of transfers of objects alone, where several numbers of connections moved them over the same links; None
    where there are none. In a pipeline several nodes share a NIC, and no such cap holds.
    """
    scenarios = [(each, arms) for each in comparison.scenarios if (arms := _arms(each))]
    if not scenarios:
        return None
    figure = new_figure(max(7.0, 5.2 * len(scenarios)), 4.8)
    panels = figure.subplots(1, len(scenarios), squeeze=False)[0]
    for axes, (scenario, arms) in zip(panels, scenarios, strict=True):
        _panel(axes, scenario.name, arms)
    handles, labels = panels[0].get_legend_handles_labels()
    legend(figure, handles, labels, most_columns=2)
    title(figure, "What connections give, against the caps of the links")
    return save(figure, path)


def _arms(scenario: Scenario) -> list[tuple[Arm, Reached]]:
    """The arms by connections; none where there are not several numbers, or links differ."""
    arms = [(arm, arm.reached) for arm in scenario.arms if arm.reached]
    caps = {(reached.flow_mbps, reached.nic_mbps) for _, reached in arms}
    if len(caps) != 1 or len({reached.connections for _, reached in arms}) < 2:
        return []
    return sorted(arms, key=lambda each: each[1].connections)


def _panel(axes: "Axes", name: str, arms: Sequence[tuple[Arm, Reached]]) -> None:
    first = arms[0][1]
    flow, nic = first.flow_mbps, first.nic_mbps
    counts = [reached.connections for _, reached in arms]
    fine = [2 ** (i / 20) for i in range(round(20 * math.log2(max(counts))) + 1)]
    axes.axhline(nic, color=NIC, lw=1.2, ls=":", label=f"cap of the NIC, {nic:g} Mbit/s")
    axes.plot(
        fine,
        [min(x * flow, nic) for x in fine],
        "--",
        color="black",
        lw=1,
        label="connections x cap of one, or of the NIC",
    )
    means = [reached.rate_mbps.value for _, reached in arms]
    axes.plot(counts, means, "-", color=LINE, lw=1.5, label="mean over trials")
    points = [(reached.connections, point.metrics[RATE]) for arm, reached in arms for point in arm.points]
    axes.plot(*zip(*points, strict=True), "o", color=LINE, ms=4.5, alpha=0.5, mew=0, label="a trial")
    for _, reached in arms:
        axes.annotate(
            f"{reached.share_percent.value:.0f}%",
            (reached.connections, reached.rate_mbps.value),
            xytext=(14, -14),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlim(min(counts) / 1.25, max(counts) * 1.25)
    axes.set_ylim(0, 1.08 * max(nic, *(rate for _, rate in points)))
    axes.set_xlabel(f"connections, of {flow:g} Mbit/s each, from one node to another")
    axes.set_ylabel("rate of a transfer (Mbit/s)")
    axes.set_title(f"{name}; in percent: rate / cap", fontsize=10)
    tidy(axes)
