"""Simulated sweeps of two arms whose true ratio is known: how often does the interval hold it?

``python tests/analysis/simulated.py`` prints the table.
"""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from vbench.analysis.statistics import Improvement, improvement

STUDIES = Path(__file__).resolve().parents[2] / "experiments"

SWEEPS = 1000
BLOCKS = (3, 5, 10)
SEED = 20260101
ARMS = 6
"""Arms of a sweep; the two that are compared run at random places among them."""

TRUE_RATIO = 0.74
"""Candidate over baseline: what the published table says."""

SPREAD = 0.05
"""Of a trial's log latency, where the noise is not measured."""

Noise = Callable[[np.random.Generator, int], np.ndarray]
"""(blocks, ARMS) log residuals of trials, in running order; their mean over sweeps is 0."""
Judge = Callable[[list[float], list[float]], Improvement]


@cache
def measured() -> np.ndarray:
    """Log residuals of the trials of the committed studies that drive videos, against their arm's mean, each
    arm's spread kept: with k trials of an arm residuals are too small by sqrt((k - 1) / k)."""
    residuals: list[float] = []
    for path in sorted(STUDIES.glob("*/comparison.json")):
        for scenario in json.loads(path.read_text())["scenarios"]:
            if scenario["name"] == "object transfer":
                continue
            for arm in scenario["arms"]:
                logs = np.log([point["latency_mean_s"] for point in arm["points"]])
                k = len(logs)
                if k > 1:
                    residuals += list((logs - logs.mean()) * math.sqrt(k / (k - 1)))
    return np.array(residuals)


def normal(random: np.random.Generator, blocks: int) -> np.ndarray:
    return random.normal(0, SPREAD, (blocks, ARMS))


def resampled(random: np.random.Generator, blocks: int) -> np.ndarray:
    return random.choice(measured(), (blocks, ARMS))


def skewed(random: np.random.Generator, blocks: int) -> np.ndarray:
    """Exponential: most trials are near the best that can be, some are far above. The candidate's (the last
    column once shuffled) is as wide as the baseline's."""
    return SPREAD * (random.exponential(1, (blocks, ARMS)) - 1)


def heavy_tailed(random: np.random.Generator, blocks: int) -> np.ndarray:
    """t with 2.5 degrees of freedom: now and then a trial goes far astray."""
    return SPREAD * random.standard_t(2.5, (blocks, ARMS))


def drifting(random: np.random.Generator, blocks: int) -> np.ndarray:
    """The machine gets slower all the time, by 20% over the sweep."""
    steps = np.arange(blocks * ARMS).reshape(blocks, ARMS) / (blocks * ARMS)
    return random.normal(0, SPREAD, (blocks, ARMS)) + 0.2 * (steps - 0.5)


def one_arm_skewed(random: np.random.Generator, blocks: int) -> np.ndarray:
    """As ``skewed``, but the arm that comes first in the plan is three times as wide as the others: what is
    skewed does not cancel in the ratio."""
    noise = SPREAD * (random.exponential(1, (blocks, ARMS)) - 1)
    noise[:, 0] *= 3
    return noise


NOISES: dict[str, Noise] = {
    "normal": normal,
    "resampled from measured trials": resampled,
    "skewed": skewed,
    "heavy-tailed": heavy_tailed,
    "drifting": drifting,
    "one arm skewed": one_arm_skewed,
}
IN_PLACE = ("drifting",)
"""Noise that belongs to the place in running order; other noise belongs to the arm."""


def sweep(name: str, random: np.random.Generator, blocks: int) -> tuple[list[float], list[float]]:
    """Mean latencies of baseline and candidate, a value each a block."""
    noise = NOISES[name](random, blocks)
    baseline, candidate = [], []
    for row in noise:
        places = random.permutation(ARMS) if name in IN_PLACE else np.arange(ARMS)
        baseline.append(60 * math.exp(row[places[0]]))
        candidate.append(60 * TRUE_RATIO * math.exp(row[places[1]]))
    return baseline, candidate


def coverage(name: str, blocks: int, judge: Judge = improvement) -> float:
    """Percent of simulated sweeps whose interval holds the true improvement."""
    random = np.random.default_rng([SEED, blocks, list(NOISES).index(name)])
    truth = 100 * (1 - TRUE_RATIO)
    held = 0
    for _ in range(SWEEPS):
        found = judge(*sweep(name, random, blocks))
        assert found.low_percent is not None
        assert found.high_percent is not None
        held += found.low_percent <= truth <= found.high_percent
    return 100 * held / SWEEPS


def table() -> str:
    """Coverage in percent for each noise and number of blocks, as Markdown."""
    lines = ["| noise | " + " | ".join(f"{n} blocks" for n in BLOCKS) + " |", "|---|" + "--:|" * len(BLOCKS)]
    for name in NOISES:
        cells = " | ".join(f"{coverage(name, n):.1f}%" for n in BLOCKS)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
