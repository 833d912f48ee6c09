"""Simulated sweeps of two arms whose true ratio is known: how often does the interval hold it?

And how often does the test for a drift notice a difference that changes over the blocks? What comes of
following the advice on blocks? ``python tests/analysis/simulated.py`` prints and writes
``experiments/interval_coverage/result.json``.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from vbench.analysis.decisions import EQUIVALENCE_PERCENT, verdict_with
from vbench.analysis.drift import drift
from vbench.analysis.statistics import Improvement, Verdict, improvement, leave_one_out, log_ratios

STUDIES = Path(__file__).resolve().parents[2] / "experiments"
RESULT = STUDIES / "interval_coverage" / "result.json"

SWEEPS = 1000
BLOCKS = (3, 5, 10)
SEED = 20260101
ARMS = 6
"""Arms of a sweep; the two that are compared run at random places among them."""

TRUE_RATIO = 0.74
"""Candidate over baseline: what the published table says."""

SPREAD = 0.05
"""Of a trial's log latency, where the noise is not measured."""

TRIALS = STUDIES / "interval_coverage" / "earlier_trials.json"
"""Mean and longest latency of trials of studies that have since been measured again, or removed."""

RESAMPLED = ("anyscale_vs_oss/eight_requests", "anyscale_vs_oss_direct", "connections")
"""Studies of these whose trials' spread is simulated: eight requests of video each."""

Noise = Callable[[np.random.Generator, int], np.ndarray]
"""(blocks, ARMS) log residuals of trials, in running order; their mean over sweeps is 0."""
Judge = Callable[[list[float], list[float]], Improvement]


@cache
def measured_arms() -> tuple[np.ndarray, ...]:
    """Log mean latencies of the trials of each arm of these studies, of arms with several trials."""
    arms: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for trial in json.loads(TRIALS.read_text()):
        if trial["study"] in RESAMPLED:
            arms[trial["study"], trial["scenario"], trial["arm"]].append(trial["latency_mean_s"])
    return tuple(np.log(latencies_s) for latencies_s in arms.values() if len(latencies_s) > 1)


@cache
def measured() -> np.ndarray:
    """Log residuals of these trials against their arm's mean, each arm's spread kept: with k trials of an arm
    residuals are too small by sqrt((k - 1) / k)."""
    return np.concatenate(
        [(logs - logs.mean()) * math.sqrt(len(logs) / (len(logs) - 1)) for logs in measured_arms()]
    )


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


def difference_trend(random: np.random.Generator, blocks: int) -> np.ndarray:
    """The ratio itself changes evenly, by 20% from the first block to the last: one arm gets slower, as on a
    machine that heats up under one arm's load."""
    noise = random.normal(0, SPREAD, (blocks, ARMS))
    noise[:, 1] += 0.2 * (np.arange(blocks) / (blocks - 1) - 0.5)
    return noise


def difference_wanders(random: np.random.Generator, blocks: int) -> np.ndarray:
    """The ratio is a random walk of steps as wide as a trial's noise, around a mean that is the truth."""
    noise = random.normal(0, SPREAD, (blocks, ARMS))
    noise[:, 1] += np.cumsum(random.normal(0, SPREAD, blocks))
    return noise


def neighbours_alike(random: np.random.Generator, blocks: int) -> np.ndarray:
    """The ratio of a block is like that of the block before: an AR(1) process with coefficient 0.6, twice as
    wide as a trial's noise."""
    noise = random.normal(0, SPREAD, (blocks, ARMS))
    state = random.normal(0, SPREAD)
    for block in range(blocks):
        noise[block, 1] += 2 * state
        state = 0.6 * state + random.normal(0, SPREAD * math.sqrt(1 - 0.6**2))
    return noise


def outlying_block(random: np.random.Generator, blocks: int) -> np.ndarray:
    """In one block, whichever, a trial of one arm, whichever, takes twice as long."""
    noise = random.normal(0, SPREAD, (blocks, ARMS))
    noise[random.integers(blocks), random.integers(2)] += math.log(2)
    return noise


NOISES: dict[str, Noise] = {
    "normal": normal,
    "resampled from measured trials": resampled,
    "skewed": skewed,
    "heavy-tailed": heavy_tailed,
    "drifting": drifting,
    "one arm skewed": one_arm_skewed,
}
BREAKING: dict[str, Noise] = {
    "the difference drifts evenly": difference_trend,
    "neighbouring blocks are alike": neighbours_alike,
    "the difference wanders": difference_wanders,
    "one outlying block": outlying_block,
}
"""What the interval assumes not to happen."""
IN_PLACE = ("drifting",)
"""Noise that belongs to the place in running order; other noise belongs to the arm."""


def sweep(name: str, random: np.random.Generator, blocks: int) -> tuple[list[float], list[float]]:
    """Mean latencies of baseline and candidate, a value each a block."""
    noise = {**NOISES, **BREAKING}[name](random, blocks)
    baseline, candidate = [], []
    for row in noise:
        places = random.permutation(ARMS) if name in IN_PLACE else np.arange(ARMS)
        baseline.append(60 * math.exp(row[places[0]]))
        candidate.append(60 * TRUE_RATIO * math.exp(row[places[1]]))
    return baseline, candidate


def generator(name: str, blocks: int) -> np.random.Generator:
    """Seeded by what is simulated."""
    return np.random.default_rng([SEED, blocks, [*NOISES, *BREAKING].index(name)])


def coverage(name: str, blocks: int, judge: Judge = improvement) -> float:
    """Percent of simulated sweeps whose interval holds the true improvement."""
    random = generator(name, blocks)
    truth = 100 * (1 - TRUE_RATIO)
    held = 0
    for _ in range(SWEEPS):
        found = judge(*sweep(name, random, blocks))
        assert found.low_percent is not None
        assert found.high_percent is not None
        held += found.low_percent <= truth <= found.high_percent
    return 100 * held / SWEEPS


def alone(logs: Sequence[float]) -> Verdict:
    """The verdict on a comparison of one row."""
    return verdict_with([logs], 0, logs, EQUIVALENCE_PERCENT)


def alarms(name: str, blocks: int, sweeps: int = SWEEPS) -> dict[str, float]:
    """Percent of simulated sweeps in which a drift is reported, by the trend test alone and by either; in
    which the verdict is that the arms differ; and in which it would be another without one block."""
    random = generator(name, blocks)
    trend = either = told = other = 0
    for _ in range(sweeps):
        old, new = sweep(name, random, blocks)
        found = drift(log_ratios(old, new))
        assert found is not None
        trend += found.trend_p <= 0.05
        either += found.is_found
        told += improvement(old, new).verdict != "inconclusive"
        without = leave_one_out(log_ratios(old, new), alone)
        assert without is not None
        other += bool(without.other_verdicts)
    return {
        "trend_percent": 100 * trend / sweeps,
        "either_percent": 100 * either / sweeps,
        "told_apart_percent": 100 * told / sweeps,
        "other_verdict_without_one_percent": 100 * other / sweeps,
    }


def advice(pilot: int, spread: float, wanted_points: float, sweeps: int = SWEEPS) -> dict[str, float]:
    """Two equal arms, a pilot of so many blocks, and then a new sweep of as many blocks as it advises, judged
    by itself: percent of verdicts that are wrong, and the half width reached, in points."""
    random = np.random.default_rng([SEED, pilot, int(1000 * spread), int(wanted_points)])

    def arm(blocks: int) -> list[float]:
        return [60 * math.exp(x) for x in random.normal(0, spread, blocks)]

    wrong, blocks_run, widths = 0, 0, []
    for _ in range(sweeps):
        blocks = improvement(arm(pilot), arm(pilot), wanted_points).blocks_for_precision or MOST
        blocks = min(blocks, MOST)
        found = improvement(arm(blocks), arm(blocks), wanted_points)
        wrong += found.verdict != "inconclusive"
        blocks_run += blocks
        assert found.half_width_points is not None
        widths.append(found.half_width_points)
    return {
        "pilot_blocks": pilot,
        "spread": spread,
        "wanted_points": wanted_points,
        "false_percent": 100 * wrong / sweeps,
        "blocks_mean": blocks_run / sweeps,
        "half_width_median_points": float(np.median(widths)),
    }


MOST = 200
"""Blocks of a study that somebody might run after all."""

ADVISED = tuple((pilot, spread, 8.0) for pilot in (3, 5) for spread in (0.03, 0.05, 0.1))


def result() -> dict[str, object]:
    """All that the page says."""
    names = [*NOISES, *BREAKING]
    return {
        "sweeps": SWEEPS,
        "true_ratio": TRUE_RATIO,
        "measured_trials": len(measured()),
        "measured_arms": len(measured_arms()),
        "coverage_percent": {name: {str(n): coverage(name, n) for n in BLOCKS} for name in names},
        "alarms": {name: {str(n): alarms(name, n) for n in BLOCKS} for name in ("normal", *BREAKING)},
        "advice": [advice(*case) for case in ADVISED],
    }


def main() -> None:
    """Print and write the result."""
    text = json.dumps(result(), indent=1) + "\n"
    RESULT.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
