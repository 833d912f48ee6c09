"""Paired intervals over blocks: how much lower the candidate's latency is, and whether that could be
noise."""

import functools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from vbench.analysis.power import MOST_BLOCKS

CONFIDENCE = 0.95

WANTED_POINTS = 8.0
"""Default for the half-width that an interval should have, in percentage points of improvement."""

NO_SCATTER = 1e-12
"""Less than this, on the log scale, is rounding."""

Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "one block: no interval"]


VerdictOf = Callable[[Sequence[float]], Verdict]
"""From log(candidate / baseline) of each block to a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """How much lower the candidate's mean latency is than the baseline's, in percent of the baseline's.

    Negative if the candidate is slower.
    """

    blocks: int
    """Blocks in which both arms were measured and valid: the n of the interval."""
    percent: float
    """100 * (1 - geometric mean over blocks of candidate / baseline)."""
    low_percent: float | None
    """Lower end of its interval; None for one block."""
    high_percent: float | None
    """Upper end of its interval; None for one block."""
    half_width_points: float | None
    """Half of the interval's width, in percentage points; None for one block."""
    verdict: Verdict
    """By this interval alone: faster, slower or inconclusive. vbench.analysis.decisions has that of a row."""
    wanted_points: float
    """The half-width that the study is planned for, in percentage points."""
    blocks_for_precision: int | None
    """Total blocks for a half-width of at most ``wanted_points``, by the spread seen so far; None if there is
    one block, or more than 1000 are needed. They are for a new sweep: adding blocks to this one until it
    shows a difference finds differences between equal arms too."""
    slowdown_bound_percent: float | None
    """The candidate is slower by at most this much (upper end of the interval; negative: it is faster by at
    least this much); None for one block."""
    confidence_percent: float = 100 * CONFIDENCE
    """Of the interval: more than 95 if the sweep looks at its results several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """An arithmetic mean over n values with its 95% interval (t, n - 1 degrees of freedom)."""

    n: int
    value: float
    half_width: float | None
    """None if n = 1."""


def log_ratios(baseline: Sequence[float], candidate: Sequence[float]) -> list[float]:
    """log(candidate / baseline) of each block; ValueError for no block, or values that are not positive."""
    if len(baseline) != len(candidate) or not baseline:
        raise ValueError(f"{len(baseline)} and {len(candidate)} values are no pairs")
    if min(*baseline, *candidate) <= 0:
        raise ValueError("a latency is a positive number")
    return [math.log(new / old) for old, new in zip(baseline, candidate, strict=True)]


def improvement(
    baseline: Sequence[float],
    candidate: Sequence[float],
    wanted_points: float = WANTED_POINTS,
    confidence: float = CONFIDENCE,
) -> Improvement:
    """Compare the mean latencies of two arms: one value of each per block, in the same order and unit.

    This takes the logarithm of candidate / baseline per block, then a t interval (n - 1 degrees of freedom)
    over blocks, and converts both ends back to percent. What all arms of a block share, such as the machine's
    speed in that hour, cancels out. ValueError for no block, or for values that are not positive.
    """
    logs = log_ratios(baseline, candidate)
    if len(logs) == 1:
        return improvement_without_interval(logs[0], wanted_points, confidence)
    return improvement_of(
        statistics.fmean(logs),
        half_width(logs, confidence),
        len(logs),
        wanted_points,
        blocks_for_precision(logs, wanted_points),
        confidence,
    )


def improvement_without_interval(centre: float, wanted_points: float, confidence: float) -> Improvement:
    """Of one block, with this log(candidate / baseline)."""
    return Improvement(
        blocks=1,
        percent=_percent(centre),
        low_percent=None,
        high_percent=None,
        half_width_points=None,
        verdict="one block: no interval",
        wanted_points=wanted_points,
        blocks_for_precision=None,
        slowdown_bound_percent=None,
        confidence_percent=100 * confidence,
    )


def improvement_of(
    centre: float,
    half: float,
    blocks: int,
    wanted_points: float,
    precise_blocks: int | None,
    confidence: float,
) -> Improvement:
    """From an interval of log(candidate / baseline): its centre and half its width; ``precise_blocks``: those
    for an interval as narrow as wanted."""
    verdict: Verdict = "inconclusive"
    if abs(centre) > half:
        verdict = "faster" if centre < 0 else "slower"
    return Improvement(
        blocks=blocks,
        percent=_percent(centre),
        # A higher ratio is a lower improvement.
        low_percent=_percent(centre + half),
        high_percent=_percent(centre - half),
        half_width_points=width_points(centre, half),
        verdict=verdict,
        wanted_points=wanted_points,
        blocks_for_precision=precise_blocks,
        slowdown_bound_percent=-_percent(centre + half),
        confidence_percent=100 * confidence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherVerdict:
    """A block that changes the verdict if it is left out."""

    without: int
    """Its place in running order, from 0."""
    verdict: Verdict
    """The verdict without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    """The improvement without any one block: how much depends on a single block."""

    low_percent: float
    """The lowest improvement without one block."""
    high_percent: float
    """The highest improvement without one block."""
    low_without: int
    """The block without which it is lowest: its place in running order, from 0."""
    high_without: int
    """The block without which it is highest."""
    other_verdicts: Sequence[OtherVerdict]


def leave_one_out(logs: Sequence[float], verdict_of: VerdictOf) -> LeaveOneOut | None:
    """Leave-one-out range of the improvement, by the blocks' log(candidate / baseline); None for fewer than
    three blocks. ``verdict_of``: the verdict that some of them give."""
    n = len(logs)
    if n < 3:
        return None
    verdict = verdict_of(logs)
    without = [[value for at, value in enumerate(logs) if at != block] for block in range(n)]
    percents = [_percent(statistics.fmean(rest)) for rest in without]
    low = min(range(n), key=percents.__getitem__)
    high = max(range(n), key=percents.__getitem__)
    return LeaveOneOut(
        low_percent=percents[low],
        high_percent=percents[high],
        low_without=low,
        high_without=high,
        other_verdicts=tuple(
            OtherVerdict(without=block, verdict=other)
            for block, rest in enumerate(without)
            if (other := verdict_of(rest)) != verdict
        ),
    )


def blocks_for_precision(logs: Sequence[float], points: float = WANTED_POINTS) -> int | None:
    """The fewest blocks whose interval has a half-width of at most ``points`` percentage points.

    The half-width is 100 exp(centre) sinh(t(blocks - 1) * s / sqrt(blocks)), with the centre and the spread s
    of ``logs``, the logarithms of candidate / baseline of at least 2 blocks. None if more than 1000 are
    needed.
    """
    centre, spread = statistics.fmean(logs), statistics.stdev(logs)
    for blocks in range(2, MOST_BLOCKS + 1):
        if width_points(centre, t_quantile(blocks - 1) * spread / math.sqrt(blocks)) <= points:
            return blocks
    return None


def width_points(centre: float, half: float) -> float:
    """Half the width in percentage points of an interval on the log scale."""
    return (_percent(centre - half) - _percent(centre + half)) / 2


def mean(values: Sequence[float]) -> Mean:
    """The mean of one arm over its blocks; ValueError for no value."""
    if not values:
        raise ValueError("no values: there is no mean")
    n = len(values)
    return Mean(n=n, value=statistics.fmean(values), half_width=half_width(values) if n > 1 else None)


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the width of the mean's interval: t(n - 1) * s / sqrt(n), for n of at least 2."""
    return t_quantile(len(values) - 1, confidence) * statistics.stdev(values) / math.sqrt(len(values))


def p_value(value: float, standard_error: float, degrees: float) -> float:
    """Two-sided p of a t test that the true value is 0; without any scatter 0, or 1 for a value of 0."""
    if standard_error <= NO_SCATTER:
        return 1.0 if abs(value) <= NO_SCATTER else 0.0
    from scipy.stats import t

    return float(2 * t.sf(abs(value) / standard_error, degrees))


@functools.cache
def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """The quantile of the t distribution that bounds a two-sided interval."""
    from scipy.stats import t  # takes a second, which only a comparison should cost

    return float(t.interval(confidence, degrees)[1])


def _percent(log_ratio: float) -> float:
    # An extreme spread overflows exp; the interval then says "no idea" in numbers that JSON can hold.
    return 100 * (1 - math.exp(min(log_ratio, 700.0)))
