"""Paired intervals over blocks: how much lower is the candidate's latency, and is that told from noise?"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95

MOST_BLOCKS = 1000
"""A study that needs more is not advised."""

WIDEST_POINTS = 8.0
"""Half of an interval that is to say something, unless another is asked for: percentage points of
improvement."""

Verdict = Literal["faster", "slower", "not told apart", "one block: no interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """How much lower the candidate's mean latency is than the baseline's, in percent of the baseline's.

    Negative where the candidate is slower.
    """

    blocks: int
    """Blocks in which both arms were measured and valid: the n of the interval."""
    percent: float
    """100 * (1 - geometric mean over blocks of candidate / baseline)."""
    low_percent: float | None
    """Ends of the 95% interval; None where there is one block."""
    high_percent: float | None
    half_width_points: float | None
    """Half of the interval's width, in percentage points."""
    verdict: Verdict
    wanted_points: float
    """The half width that the study is planned for, in percentage points."""
    precise_blocks: int | None
    """Blocks in all for a half width of at most ``wanted_points``, by the spread seen so far; None if one
    block says nothing of the spread, or more than 1000 are needed. They are for a new sweep: adding blocks to
    this one until it shows a difference finds differences in equal arms too."""
    slowdown_bound_percent: float | None
    """The candidate is slower by at most so much (upper end of the interval; negative: it is faster by at
    least so much); None for one block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """An arithmetic mean over n values with its 95% interval (t, n - 1 degrees of freedom)."""

    n: int
    value: float
    half_width: float | None
    """None where n = 1."""


def log_ratios(baseline: Sequence[float], candidate: Sequence[float]) -> list[float]:
    """log(candidate / baseline) of each block; ValueError for no block, or values that are not positive."""
    if len(baseline) != len(candidate) or not baseline:
        raise ValueError(f"{len(baseline)} and {len(candidate)} values are no pairs")
    if min(*baseline, *candidate) <= 0:
        raise ValueError("a latency is a positive number")
    return [math.log(new / old) for old, new in zip(baseline, candidate, strict=True)]


def improvement(
    baseline: Sequence[float], candidate: Sequence[float], wanted_points: float = WIDEST_POINTS
) -> Improvement:
    """From the mean latencies of both arms, one value each per block, in the same order and unit.

    The logarithm of candidate / baseline is taken a block, a t interval (n - 1 degrees of freedom) over
    blocks, and both ends are turned back into percent. What a block shares, the machine's speed that hour,
    drops out of the ratio. ValueError for no block, or for values that are not positive.
    """
    logs = log_ratios(baseline, candidate)
    n, centre = len(logs), sum(logs) / len(logs)
    percent = _percent(centre)
    if n == 1:
        return Improvement(
            blocks=1,
            percent=percent,
            low_percent=None,
            high_percent=None,
            half_width_points=None,
            verdict="one block: no interval",
            wanted_points=wanted_points,
            precise_blocks=None,
            slowdown_bound_percent=None,
        )
    half = half_width(logs)
    verdict: Verdict = "not told apart"
    if abs(centre) > half:
        verdict = "faster" if centre < 0 else "slower"
    return Improvement(
        blocks=n,
        percent=percent,
        # A higher ratio is a lower improvement.
        low_percent=_percent(centre + half),
        high_percent=_percent(centre - half),
        half_width_points=_points(centre, half),
        verdict=verdict,
        wanted_points=wanted_points,
        precise_blocks=precise_blocks(logs, wanted_points),
        slowdown_bound_percent=-_percent(centre + half),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutOne:
    """The improvement if any one block is left out: how much hangs on a single block."""

    low_percent: float
    """The lowest improvement without one block, and the highest."""
    high_percent: float
    low_without: int
    """Which block is left out then: its place in running order, from 0."""
    high_without: int
    other_verdicts: tuple[tuple[int, Verdict], ...]
    """Blocks without which the verdict is another, and that verdict."""


def without_one(baseline: Sequence[float], candidate: Sequence[float]) -> WithoutOne | None:
    """Leave-one-out range of the improvement; None for fewer than three blocks."""
    n = len(baseline)
    if n < 3:
        return None
    whole = improvement(baseline, candidate).verdict
    each = [
        improvement(
            [value for at, value in enumerate(baseline) if at != out],
            [value for at, value in enumerate(candidate) if at != out],
        )
        for out in range(n)
    ]
    low = min(range(n), key=lambda out: each[out].percent)
    high = max(range(n), key=lambda out: each[out].percent)
    return WithoutOne(
        low_percent=each[low].percent,
        high_percent=each[high].percent,
        low_without=low,
        high_without=high,
        other_verdicts=tuple((out, one.verdict) for out, one in enumerate(each) if one.verdict != whole),
    )


def precise_blocks(logs: Sequence[float], points: float = WIDEST_POINTS) -> int | None:
    """The fewest blocks whose interval reaches at most ``points`` percentage points to either side, half of
    its width: 100 exp(centre) sinh(t(blocks - 1) * s / sqrt(blocks)), with centre and spread as seen.

    ``logs``: the logarithm of candidate / baseline of each block, at least 2. None beyond 1000 blocks.
    """
    centre, spread = sum(logs) / len(logs), _spread(logs)
    for blocks in range(2, MOST_BLOCKS + 1):
        if _points(centre, _t(CONFIDENCE, blocks - 1) * spread / math.sqrt(blocks)) <= points:
            return blocks
    return None


def _points(centre: float, half: float) -> float:
    """Half the width in percentage points of an interval on the log scale."""
    return (_percent(centre - half) - _percent(centre + half)) / 2


def mean(values: Sequence[float]) -> Mean:
    """The mean of one arm over its blocks; ValueError for no value."""
    if not values:
        raise ValueError("no value has no mean")
    n = len(values)
    return Mean(n=n, value=sum(values) / n, half_width=half_width(values) if n > 1 else None)


def half_width(values: Sequence[float]) -> float:
    """Half the width of the mean's 95% interval: t(n - 1) * s / sqrt(n), for n of at least 2."""
    return _t(CONFIDENCE, len(values) - 1) * _spread(values) / math.sqrt(len(values))


def _spread(values: Sequence[float]) -> float:
    centre = sum(values) / len(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))


@functools.cache
def _t(confidence: float, degrees: int) -> float:
    """The t distribution's quantile that leaves (1 - confidence) / 2 above it."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, degrees))


def _percent(log_ratio: float) -> float:
    # A spread beyond all reason overflows exp; the interval then says "no idea" in numbers JSON can hold.
    return 100 * (1 - math.exp(min(log_ratio, 700.0)))
