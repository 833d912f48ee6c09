"""Plot of the transfer rate by number of connections, with the caps of connections and NICs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.report.plots import legend, new_figure, save, tidy, title
from vbench.analysis.results import Arm, Comparison, Scenario
from vbench.analysis.transfer_rate import RATE, TransferRate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE, NIC = "#0072B2", "#D55E00"


def rate(comparison: Comparison, path: Path) -> Path | None:
    """Plot Mbit/s of each trial over connections, with min(connections x flow cap, NIC cap); one panel per
    scenario.

    Only for trials that only moved objects, with several numbers of connections over the same links; None if
    there are none. In a pipeline, several nodes share a NIC, and this cap does not apply.
    """
    scenarios = [(scenario, arms) for scenario in comparison.scenarios if (arms := _arms(scenario))]
    if not scenarios:
        return None
    figure = new_figure(max(7.0, 5.2 * len(scenarios)), 4.8)
    panels = figure.subplots(1, len(scenarios), squeeze=False)[0]
    for axes, (scenario, arms) in zip(panels, scenarios, strict=True):
        _panel(axes, scenario.name, arms)
    handles, labels = panels[0].get_legend_handles_labels()
    legend(figure, handles, labels, most_columns=2)
    title(figure, "Transfer rate by number of connections")
    return save(figure, path)


def _arms(scenario: Scenario) -> list[tuple[Arm, TransferRate]]:
    """The arms by connections; none if all have the same number, or links differ."""
    arms = [(arm, arm.transfer_rate) for arm in scenario.arms if arm.transfer_rate]
    caps = {(transfer.flow_mbps, transfer.nic_mbps) for _, transfer in arms}
    if len(caps) != 1 or len({transfer.connections for _, transfer in arms}) < 2:
        return []
    return sorted(arms, key=lambda pair: pair[1].connections)


def _panel(axes: "Axes", name: str, arms: Sequence[tuple[Arm, TransferRate]]) -> None:
    first = arms[0][1]
    flow, nic = first.flow_mbps, first.nic_mbps
    counts = [transfer.connections for _, transfer in arms]
    fine = [2 ** (i / 20) for i in range(round(20 * math.log2(max(counts))) + 1)]
    axes.axhline(nic, color=NIC, lw=1.2, ls=":", label=f"cap of the NIC, {nic:g} Mbit/s")
    axes.plot(
        fine,
        [min(x * flow, nic) for x in fine],
        "--",
        color="black",
        lw=1,
        label="connections x cap per connection, or the NIC's",
    )
    means = [transfer.rate_mbps.value for _, transfer in arms]
    axes.plot(counts, means, "-", color=LINE, lw=1.5, label="mean over trials")
    rates = [(transfer.connections, trial.metrics[RATE]) for arm, transfer in arms for trial in arm.trials]
    axes.plot(*zip(*rates, strict=True), "o", color=LINE, ms=4.5, alpha=0.5, mew=0, label="one trial")
    for _, transfer in arms:
        axes.annotate(
            f"{transfer.share_percent.value:.0f}%",
            (transfer.connections, transfer.rate_mbps.value),
            xytext=(14, -14),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlim(min(counts) / 1.25, max(counts) * 1.25)
    axes.set_ylim(0, 1.08 * max(nic, *(rate for _, rate in rates)))
    axes.set_xlabel(f"connections between the two nodes, {flow:g} Mbit/s each")
    axes.set_ylabel("transfer rate (Mbit/s)")
    axes.set_title(f"{name} (percentages: rate / cap)", fontsize=10)
    tidy(axes)
