"""Simulated gates: how often does each fail, or pass, a change that makes a service slower by so much?

``python -m tests.analysis.simulated_gates`` writes ``experiments/interval_coverage/gates.json``, which
docs/baselines.md quotes.
"""

import json
import math

import numpy as np
from scipy.stats import t

from tests.analysis import simulated
from vbench.analysis.statistics import CONFIDENCE

RESULT = simulated.STUDIES / "interval_coverage" / "gates.json"

STUDIES = 4000
BLOCKS = (3, 5, 10)
SPREAD = 0.03
"""Of a trial's log latency within a sweep."""
NIGHTS = (0.0, 0.02, 0.05)
"""Standard deviation of what changes on the machine from one sweep to the next, in log latency."""
BOUND_PERCENT = 5.0
TRUE_PERCENT = (0.0, 5.0, 10.0)
"""True slowdowns."""


def bounds(blocks: int, slower_percent: float, night: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval of the slowdown on the log scale, for each study.

    ``night``: what changes between the sweeps; None if both arms are in one sweep, and paired.
    """
    seed = [simulated.SEED, blocks, int(10 * slower_percent), -1 if night is None else int(1000 * night)]
    random = np.random.default_rng(np.abs(seed))
    old = random.normal(0, SPREAD, (STUDIES, blocks))
    new = random.normal(math.log1p(slower_percent / 100), SPREAD, (STUDIES, blocks))
    if night is None:
        logs = new - old
        centre, error = logs.mean(axis=1), logs.std(axis=1, ddof=1) / math.sqrt(blocks)
        degrees = np.full(STUDIES, blocks - 1.0)
    else:
        new += random.normal(0, night, (STUDIES, 1))
        parts = old.var(axis=1, ddof=1) / blocks, new.var(axis=1, ddof=1) / blocks
        centre, error = new.mean(axis=1) - old.mean(axis=1), np.sqrt(parts[0] + parts[1])
        degrees = (parts[0] + parts[1]) ** 2 / ((parts[0] ** 2 + parts[1] ** 2) / (blocks - 1))
    half = t.isf((1 - CONFIDENCE) / 2, degrees) * error
    return centre - half, centre + half


def rates(blocks: int, slower_percent: float, night: float | None) -> dict[str, float]:
    """Percent of studies that ``--fail-on-regression`` fails, and that ``--require-non-inferior`` passes."""
    low, high = bounds(blocks, slower_percent, night)
    bound = math.log1p(BOUND_PERCENT / 100)
    return {
        "slower_percent": slower_percent,
        "fails_percent": 100 * float(np.mean(low > bound)),
        "passes_percent": 100 * float(np.mean(high <= bound)),
    }


def result() -> dict[str, object]:
    """All that the page says."""
    kinds = {"paired": None, **{f"baseline, {100 * night:g}%": night for night in NIGHTS}}
    return {
        "studies": STUDIES,
        "spread": SPREAD,
        "bound_percent": BOUND_PERCENT,
        "rates": {
            kind: {str(n): [rates(n, slower, night) for slower in TRUE_PERCENT] for n in BLOCKS}
            for kind, night in kinds.items()
        },
    }


if __name__ == "__main__":
    RESULT.write_text(json.dumps(result(), indent=1) + "\n")
