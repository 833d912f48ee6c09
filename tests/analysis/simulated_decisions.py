"""Simulated comparisons: how often is a verdict wrong, and how often is a difference or an equivalence found?

``python -m tests.analysis.simulated_decisions`` writes ``decisions.json`` and the plot of the power curves,
``power.png``, into ``experiments/interval_coverage``.
"""

import json
import math
from pathlib import Path

import numpy as np
from scipy.stats import t

from tests.analysis import simulated
from vbench.analysis.power import SIGNIFICANCE, difference_power, equivalence_bounds, equivalence_power
from vbench.analysis.report.plots import ARM_COLOURS, legend, new_figure, save, tidy, title
from vbench.analysis.statistics import log_ratios

RESULT = simulated.STUDIES / "interval_coverage" / "decisions.json"
PLOT = RESULT.with_name("power.png")

STUDIES = 2000
ROWS = 4
PERCENT = 5.0
NOISES = ("normal", "skewed", "heavy-tailed", "drifting", "one outlying block")
BLOCKS = (3, 5, 8, 12)
SPREADS = (0.02, 0.04, 0.08)
"""Of a block's log ratio, in the power curves."""
EFFECTS = tuple(number / 2 for number in range(21))
"""True differences in percent."""


def errors(name: str, blocks: int) -> np.ndarray:
    """(STUDIES, ROWS, blocks) log ratios of arms that are equal, with this noise."""
    random = np.random.default_rng([simulated.SEED, blocks, NOISES.index(name), ROWS])
    shift = math.log(simulated.TRUE_RATIO)
    logs = [log_ratios(*simulated.sweep(name, random, blocks)) for _ in range(STUDIES * ROWS)]
    return np.array(logs).reshape(STUDIES, ROWS, blocks) - shift


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's correction along the last axis."""
    order = np.argsort(p, axis=-1)
    factors = np.arange(p.shape[-1], 0, -1)
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.minimum(stepped, 1), -1)
    return corrected


def verdicts(logs: np.ndarray, percent: float = PERCENT, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(studies, rows) whether a row is called different, and whether it is called equivalent; ``share``: of
    the error of 5% that this look may spend."""
    blocks = logs.shape[-1]
    centre, error = logs.mean(axis=-1), logs.std(axis=-1, ddof=1) / math.sqrt(blocks)
    bounds = equivalence_bounds(percent)
    distance = np.minimum(centre - bounds.low, bounds.high - centre)
    differs = holm(2 * t.sf(np.abs(centre) / error, blocks - 1) / share) <= SIGNIFICANCE
    within = holm(t.sf(distance / error, blocks - 1) / share) <= SIGNIFICANCE
    return differs, within & ~differs


def rates(name: str, blocks: int) -> dict[str, float]:
    """Percent of simulated comparisons with a wrong verdict, and of intervals with the true value."""
    logs = errors(name, blocks)
    differs, _ = verdicts(logs)
    _, equivalent = verdicts(logs + equivalence_bounds(PERCENT).high)
    alone, _ = verdicts(logs[:, :1])
    half = t.isf(SIGNIFICANCE / 2, blocks - 1) * logs.std(axis=-1, ddof=1) / math.sqrt(blocks)
    return {
        "coverage_percent": 100 * float(np.mean(np.abs(logs.mean(axis=-1)) <= half)),
        "false_difference_one_row_percent": 100 * float(alone.any(axis=1).mean()),
        "false_difference_percent": 100 * float(differs.any(axis=1).mean()),
        "false_equivalence_percent": 100 * float(equivalent.any(axis=1).mean()),
    }


def power(spread: float, blocks: int, effect_percent: float) -> dict[str, float]:
    """Percent of comparisons of one row that find this difference, and that call it equivalent."""
    effect, error = math.log1p(effect_percent / 100), spread / math.sqrt(blocks)
    bounds = equivalence_bounds(PERCENT)
    return {
        "effect_percent": effect_percent,
        "different": 100 * difference_power(effect, error, blocks - 1, SIGNIFICANCE) if effect else 5.0,
        "within_bound": 100 * equivalence_power(effect, error, blocks - 1, SIGNIFICANCE, bounds),
    }


def result() -> dict[str, object]:
    """All that the page says."""
    return {
        "studies": STUDIES,
        "rows": ROWS,
        "equivalence_percent": PERCENT,
        "rates": {name: {str(n): rates(name, n) for n in BLOCKS} for name in NOISES},
        "power": {
            str(spread): {str(n): [power(spread, n, effect) for effect in EFFECTS] for n in BLOCKS}
            for spread in SPREADS
        },
    }


def draw(data: dict[str, object], path: Path) -> Path:
    """Plot the power curves: one panel per spread, one colour per number of blocks."""
    curves: dict[str, dict[str, list[dict[str, float]]]] = data["power"]  # type: ignore[assignment]
    figure = new_figure(10.5, 4.2)
    panels = figure.subplots(1, len(curves), sharey=True)
    for axes, (spread, of_blocks) in zip(panels, curves.items(), strict=True):
        for colour, (blocks, points) in zip(ARM_COLOURS, of_blocks.items(), strict=False):
            xs = [point["effect_percent"] for point in points]
            found = f"difference found, {blocks} blocks"
            axes.plot(xs, [point["different"] for point in points], color=colour, label=found)
            shown = f"within ±{PERCENT:g}% shown, {blocks} blocks"
            axes.plot(xs, [point["within_bound"] for point in points], "--", color=colour, label=shown)
        axes.axhline(80, color="grey", lw=0.7)
        axes.axvline(PERCENT, color="grey", lw=0.7)
        axes.set_title(f"ratio of a block scatters by {100 * float(spread):g}%", fontsize=10)
        axes.set_xlabel("true difference in mean latency (%)")
        axes.set_ylim(0, 101)
        axes.set_xlim(0, EFFECTS[-1])
        tidy(axes)
    panels[0].set_ylabel("comparisons (%)")
    legend(figure, *panels[0].get_legend_handles_labels(), most_columns=4)
    title(figure, "How often one row is decided. Grey: 80% power, and the bound of equivalence")
    return save(figure, path)


def main() -> None:
    """Write the result and the plot."""
    data = result()
    RESULT.write_text(json.dumps(data, indent=1) + "\n")
    draw(data, PLOT)


if __name__ == "__main__":
    main()
