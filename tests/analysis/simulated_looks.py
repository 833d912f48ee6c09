"""Simulated sweeps with blocks=auto: how often are they wrong, and after how many blocks do they stop?

``python -m tests.analysis.simulated_looks`` writes ``looks.json`` and the plot ``looks.png`` into
``experiments/interval_coverage``.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import t

from tests.analysis import simulated
from tests.analysis.simulated_decisions import (
    EFFECTS,
    NOISES,
    PERCENT,
    ROWS,
    SPREADS,
    STUDIES,
    errors,
    verdicts,
)
from vbench.analysis.power import SIGNIFICANCE, equivalence_bounds
from vbench.analysis.report.plots import ARM_COLOURS, legend, new_figure, save, tidy, title
from vbench.record.looks import Looks, planned_looks

RESULT = simulated.STUDIES / "interval_coverage" / "looks.json"
PLOT = RESULT.with_name("looks.png")

MAX_BLOCKS = 12
LOOKS = Looks(planned=planned_looks(MAX_BLOCKS))
TRUE_EFFECTS = {"none": 0.0, "the bound": PERCENT, "10%": 10.0}
"""True differences in percent by which coverage is simulated: it may depend on when sweeps stop."""


@dataclass(frozen=True)
class Stopped:
    """Where simulated sweeps stopped."""

    differs: np.ndarray
    """(studies, rows) whether the row is called different then."""
    equivalent: np.ndarray
    """(studies, rows) whether it is called equivalent."""
    low: np.ndarray
    """(studies, rows) lower end of the interval of the log ratio."""
    high: np.ndarray
    blocks: np.ndarray
    """(studies,) blocks that were measured."""


def stop(logs: np.ndarray, looks: Looks = LOOKS) -> Stopped:
    """Where each sweep stops: at the first look that decides all its rows, or at the last one.

    ``logs``: (studies, rows, blocks) log ratios.
    """
    shape = logs.shape[:2]
    at = Stopped(
        differs=np.zeros(shape, bool),
        equivalent=np.zeros(shape, bool),
        low=np.zeros(shape),
        high=np.zeros(shape),
        blocks=np.zeros(shape[0], int),
    )
    for blocks in looks.planned:
        share = looks.look(blocks).share
        seen = logs[..., :blocks]
        differs, equivalent = verdicts(seen, share=share)
        half = t.isf(SIGNIFICANCE * share / 2, blocks - 1) * seen.std(axis=-1, ddof=1) / math.sqrt(blocks)
        now = (at.blocks == 0) & ((differs | equivalent).all(axis=1) | (blocks == looks.planned[-1]))
        at.differs[now], at.equivalent[now] = differs[now], equivalent[now]
        at.low[now], at.high[now] = (seen.mean(axis=-1) - half)[now], (seen.mean(axis=-1) + half)[now]
        at.blocks[now] = blocks
    return at


@cache
def equal_arms(name: str) -> np.ndarray:
    """(STUDIES, ROWS, MAX_BLOCKS) log ratios of equal arms with this noise."""
    return errors(name, MAX_BLOCKS)


def rates(name: str) -> dict[str, object]:
    """Percent of simulated comparisons with a wrong verdict, and of intervals with the true value."""
    logs, high = equal_arms(name), equivalence_bounds(PERCENT).high
    coverage = {}
    for effect, percent in TRUE_EFFECTS.items():
        true = math.log1p(percent / 100)
        found = stop(logs + true)
        coverage[effect] = 100 * float(np.mean((found.low <= true) & (true <= found.high)))
    return {
        "false_difference_percent": 100 * float(stop(logs).differs.any(axis=1).mean()),
        "false_equivalence_percent": 100 * float(stop(logs + high).equivalent.any(axis=1).mean()),
        "coverage_percent": coverage,
    }


def power(spread: float, effect_percent: float) -> dict[str, float]:
    """How often sweeps of one row decide, with this standard deviation of a block's log ratio, and after how
    many blocks."""
    random = np.random.default_rng([simulated.SEED, int(1000 * spread)])
    logs = random.normal(math.log1p(effect_percent / 100), spread, (STUDIES, 1, MAX_BLOCKS))
    found = stop(logs)
    return {
        "effect_percent": effect_percent,
        "different": 100 * float(found.differs.mean()),
        "equivalent": 100 * float(found.equivalent.mean()),
        "blocks_mean": float(found.blocks.mean()),
    }


def result() -> dict[str, object]:
    """All that the page says."""
    return {
        "studies": STUDIES,
        "rows": ROWS,
        "looks": LOOKS.planned,
        "shares": [LOOKS.look(blocks).share for blocks in LOOKS.planned],
        "equivalence_percent": PERCENT,
        "rates": {name: rates(name) for name in NOISES},
        "power": {str(spread): [power(spread, effect) for effect in EFFECTS] for spread in SPREADS},
    }


def draw(data: dict[str, object], path: Path) -> Path:
    """Plot how often sweeps decide, and how many blocks they take: one colour per spread."""
    curves: dict[str, list[dict[str, float]]] = data["power"]  # type: ignore[assignment]
    figure = new_figure(10.5, 4.2)
    decided, blocks = figure.subplots(1, 2)
    for colour, (spread, points) in zip(ARM_COLOURS, curves.items(), strict=False):
        xs = [point["effect_percent"] for point in points]
        scatter = f"{100 * float(spread):g}%"
        decided.plot(xs, [one["different"] for one in points], color=colour, label=f"different, {scatter}")
        ys = [one["equivalent"] for one in points]
        decided.plot(xs, ys, "--", color=colour, label=f"equivalent, {scatter}")
        blocks.plot(xs, [one["blocks_mean"] for one in points], color=colour)
    decided.axhline(80, color="grey", lw=0.7)
    decided.set_ylabel("sweeps (%)")
    decided.set_ylim(0, 101)
    blocks.set_ylabel("blocks until it stops, mean")
    blocks.set_ylim(0, MAX_BLOCKS + 0.5)
    for axes in (decided, blocks):
        axes.axvline(PERCENT, color="grey", lw=0.7)
        axes.set_xlabel("true difference in mean latency (%)")
        axes.set_xlim(0, EFFECTS[-1])
        tidy(axes)
    legend(figure, *decided.get_legend_handles_labels(), most_columns=3)
    title(figure, f"blocks=auto, at most {MAX_BLOCKS}, by the scatter of a block's ratio")
    return save(figure, path)


def main() -> None:
    """Write the result and the plot."""
    data = result()
    RESULT.write_text(json.dumps(data, indent=1) + "\n")
    draw(data, PLOT)


if __name__ == "__main__":
    main()
