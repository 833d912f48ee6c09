"""Plots of a comparison: latency per request and per block, and where the time of a request went."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbench.analysis.latency_breakdown import PARTS
from vbench.analysis.report.formatting import decimals
from vbench.analysis.report.writable import writing
from vbench.analysis.results import Comparison, Scenario

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARM_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#999999", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can distinguish."""

PART_COLOURS = {
    "chunk transfer": "#44AA99",
    "chunk compute": "#117733",
    "decode transfer": "#88CCEE",
    "decode compute": "#332288",
    "infer transfer": "#DDAA33",
    "infer compute": "#AA4466",
    "chunk queue": "#BBDDBB",
    "decode queue": "#BBBBDD",
    "infer queue": "#EEC8CC",
    "other": "#DDDDDD",
}
"""One hue per stage, pale for waiting."""

ACROSS = 4
"""Scenarios side by side."""

DPI = 130


def new_figure(width_in: float, height_in: float) -> "Figure":
    """A figure without a window or global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG; ConfigError if it cannot be written."""
    with writing(path):
        figure.savefig(path, dpi=DPI)
    return path


def title(figure: "Figure", text: str) -> None:
    """A title, wrapped to the width of the figure."""
    figure.suptitle(textwrap.fill(text, int(11 * figure.get_figwidth())), fontsize=11)


def legend(figure: "Figure", handles: Sequence["Artist"], labels: Sequence[str], most_columns: int) -> None:
    """A legend below the panels, with as many columns as fit the width of the figure."""
    letter_in, handle_in = 0.085, 0.6
    entry_in = handle_in + letter_in * max(len(label) for label in labels)
    columns = max(1, min(most_columns, len(labels), int(figure.get_figwidth() / entry_in)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=10)


def short(name: str) -> str:
    """An arm's name on two lines, to stand under an axis."""
    return name.replace(" (", "\n(").replace("single: ", "single:\n")


def tidy(axes: "Axes") -> None:
    """Keep only the parts of the frame that help reading."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", linewidth=0.5, alpha=0.4)
    axes.set_axisbelow(True)


def colours(comparison: Comparison) -> dict[str, str]:
    """Arm -> colour, the same in all plots."""
    names = dict.fromkeys(arm.name for scenario in comparison.scenarios for arm in scenario.arms)
    return {name: ARM_COLOURS[i % len(ARM_COLOURS)] for i, name in enumerate(names)}


def latency(comparison: Comparison, path: Path) -> Path:
    """Plot each request's latency by arm and block, and each block's mean by arm; one column per scenario."""
    scenarios = comparison.scenarios
    across = min(ACROSS, len(scenarios))
    down = math.ceil(len(scenarios) / across)
    widest = max(len(scenario.arms) for scenario in scenarios)
    figure = new_figure(max(6.5, across * max(3.0, 1.15 * widest + 0.8)), 6.6 * down + 0.6)
    panels = figure.subplots(2 * down, across, squeeze=False, sharey="row")
    palette = colours(comparison)
    for position, scenario in enumerate(scenarios):
        row, column = divmod(position, across)
        _requests(panels[2 * row, column], scenario, palette, first=column == 0)
        _blocks(panels[2 * row + 1, column], scenario, palette, first=column == 0)
    for position in range(len(scenarios), down * across):
        row, column = divmod(position, across)
        for panel in (panels[2 * row, column], panels[2 * row + 1, column]):
            panel.set_visible(False)
    handles, labels = _legend(list(panels.flat))
    legend(figure, handles, labels, most_columns=3)
    title(
        figure,
        "Top: latency of each request (dots) and mean of each trial (bars), blocks from left to right."
        " Bottom: mean latency of each trial.",
    )
    return save(figure, path)


def _legend(panels: "Sequence[Axes]") -> tuple[list["Artist"], list[str]]:
    """Each arm once, from whichever panel has it."""
    handles: dict[str, Artist] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return list(handles.values()), list(handles)


def _requests(axes: "Axes", scenario: Scenario, palette: dict[str, str], *, first: bool) -> None:
    for position, arm in enumerate(scenario.arms):
        step = 0.8 / len(arm.trials)
        for number, trial in enumerate(arm.trials):
            middle = position + (number - (len(arm.trials) - 1) / 2) * step
            count = len(trial.latencies_s)
            xs = [middle + step * 0.5 * ((i + 0.5) / count - 0.5) for i in range(count)]
            axes.plot(
                xs, trial.latencies_s, "o", color=palette[arm.name], ms=3.2, alpha=0.65, markeredgewidth=0
            )
            axes.hlines(
                trial.latency_mean_s, middle - step * 0.42, middle + step * 0.42, color="black", lw=1.6
            )
    labels = [short(arm.name) for arm in scenario.arms]
    axes.set_xticks(range(len(labels)), labels, fontsize=7.5)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    _from_zero(axes, [value for arm in scenario.arms for trial in arm.trials for value in trial.latencies_s])
    if first:
        axes.set_ylabel("latency per request (s)")
    axes.set_title(textwrap.fill(scenario.name, 36), fontsize=10)
    tidy(axes)


def _from_zero(axes: "Axes", values: Sequence[float]) -> None:
    """Make room for these values and for those of the panels that share the axis."""
    high = axes.get_ylim()[1] if axes.get_ylim()[0] == 0 else 0.0
    axes.set_ylim(0, max(high, 1.08 * max(values)))


def _blocks(axes: "Axes", scenario: Scenario, palette: dict[str, str], *, first: bool) -> None:
    blocks = list(dict.fromkeys(trial.block for arm in scenario.arms for trial in arm.trials))
    try:
        blocks.sort(key=int)
    except ValueError:
        blocks.sort()
    for arm in scenario.arms:
        means = {trial.block: trial.latency_mean_s for trial in arm.trials}
        ys = [means.get(block, math.nan) for block in blocks]
        axes.plot(range(len(blocks)), ys, "o-", color=palette[arm.name], label=arm.name, ms=5, lw=1.4)
    axes.set_xticks(range(len(blocks)), blocks, fontsize=8)
    axes.set_xlim(-0.5, len(blocks) - 0.5)
    _from_zero(axes, [trial.latency_mean_s for arm in scenario.arms for trial in arm.trials])
    axes.set_xlabel("block")
    if first:
        axes.set_ylabel("mean latency per trial (s)")
    tidy(axes)


def stages(comparison: Comparison, path: Path) -> Path:
    """Plot the parts of the mean latency: one bar per arm, grouped by scenario; the parts sum to the
    latency."""
    bars = sum(len(scenario.arms) for scenario in comparison.scenarios)
    gaps = len(comparison.scenarios)
    figure = new_figure(9.5, 1.7 + 0.42 * bars + 0.45 * gaps)
    axes = figure.subplots()
    arms = [arm for scenario in comparison.scenarios for arm in scenario.arms]
    parts = [part for part in PARTS if any(arm.part(part) > 0 for arm in arms)]
    longest = max(sum(arm.part(part) for part in parts) for arm in arms)
    places = decimals(longest)
    y, ticks, names = 0.0, [], []
    for scenario in comparison.scenarios:
        axes.text(0.006 * longest, y, scenario.name, fontsize=9.5, fontweight="bold", va="center")
        y += 0.85
        for arm in scenario.arms:
            left = 0.0
            for part in parts:
                width = arm.part(part)
                axes.barh(y, width, left=left, height=0.72, color=PART_COLOURS[part], label=part)
                if width > 0.055 * longest:
                    dark = part in ("chunk compute", "decode compute", "infer compute")
                    colour = "white" if dark else "black"
                    axes.text(
                        left + width / 2,
                        y,
                        f"{width:.{places}f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color=colour,
                    )
                left += width
            axes.text(left + 0.01 * longest, y, f"{left:.{places}f} s", va="center", fontsize=8.5)
            ticks.append(y)
            names.append(arm.name)
            y += 1
        y += 0.35
    axes.set_yticks(ticks, names, fontsize=9)
    axes.set_ylim(y - 0.4, -0.6)
    axes.set_xlim(0, longest * 1.1)
    axes.set_xlabel(
        "mean latency (s); each moment counts once, as waiting only if nothing was computed or transferred"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles, labels = _legend([axes])
    legend(figure, handles, labels, most_columns=5)
    title(figure, "Where the time of a request went")
    return save(figure, path)
