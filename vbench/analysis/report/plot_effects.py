"""Plot of screening: the change in latency by each setting, and by settings together, with intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.effects import Effect
from vbench.analysis.report import screening_text
from vbench.analysis.report.plots import new_figure, save, title
from vbench.analysis.screening_results import Screening

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWER, HIGHER, INCONCLUSIVE = "#009E73", "#D55E00", "#888888"
"""Okabe and Ito's green and vermilion; grey for what may be noise."""

COLOURS = {"lower": LOWER, "higher": HIGHER}

ROW_IN = 0.36
"""Height of a row."""

Rows = Sequence[tuple[str, Effect]]


def effects(screening: Screening, path: Path) -> Path | None:
    """Write the plot; None if there is no effect to show."""
    figure = draw(screening)
    return None if figure is None else save(figure, path)


def draw(screening: Screening) -> "Figure | None":
    """Changes in the mean latency with their 95% intervals, the largest on top; interactions in a panel
    below, on the same scale. None if no block counts."""
    latency = screening.metrics[0]
    settings = [
        (f"{setting.letter} {setting.key}\n{setting.baseline} → {setting.value}".strip(), setting.effect)
        for setting in screening_text.by_size(latency.settings)
        if setting.effect is not None
    ]
    if not settings:
        return None
    together = sorted(latency.interactions, key=lambda one: -abs(one.effect.change_percent))
    strings = [(screening_text.string(one), one.effect) for one in together]
    panels = [settings, strings] if strings else [settings]
    heights = [1.35 * len(settings), len(strings)][: len(panels)]
    figure = new_figure(9.0, 1.5 + ROW_IN * sum(heights) + 0.5 * len(panels))
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)
    for panel, rows in zip(axes[:, 0], panels, strict=True):
        _intervals(panel, rows)
    heading = "each setting, over both values of the others" if strings else "each setting changed alone"
    axes[0, 0].set_title(heading, fontsize=10, loc="left")
    if strings:
        heading = "two settings together, against the product of their single changes"
        axes[1, 0].set_title(heading, fontsize=10, loc="left")
    axes[-1, 0].set_xlabel("change in mean latency (%), with 95% interval; left is faster")
    title(
        figure,
        f"{screening.scenario}: green and orange are shown to matter (Holm), grey is inconclusive",
    )
    return figure


def _intervals(axes: "Axes", rows: Rows) -> None:
    axes.axvline(0, color="black", linewidth=0.8)
    for y, (_, effect) in enumerate(rows):
        colour = COLOURS.get(effect.direction, INCONCLUSIVE)
        if effect.low_percent is not None and effect.high_percent is not None:
            axes.plot([effect.low_percent, effect.high_percent], [y, y], color=colour, linewidth=2.2)
        axes.plot([effect.change_percent], [y], "o", color=colour, ms=6)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=8.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="x", linewidth=0.5, alpha=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
