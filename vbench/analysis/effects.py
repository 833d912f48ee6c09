"""Effects of settings over blocks: contrasts of logarithms, their t intervals, and Holm's correction.

In each block, every run of a design is measured once. The effect of a two-level setting in a block is the
mean log of the runs with its second value minus that of the runs with its first. What all runs of a block
share cancels out. The variance comes from how much the runs' logs, without the mean of their run and of
their block, scatter: all runs go into every effect with the same weight, so all effects have the same
variance, whether or not the runs scatter equally, and it is estimated from all of them at once, with
(runs - 1) (blocks - 1) degrees of freedom. This is the error of a least-squares fit of blocks and runs (Box,
Hunter and Hunter, Statistics for Experimenters, chapters 4 and 5).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vbench.analysis.power import MOST_BLOCKS
from vbench.analysis.statistics import (
    NO_SCATTER,
    WANTED_POINTS,
    half_width,
    p_value,
    t_quantile,
    width_points,
)

SIGNIFICANCE = 0.05
"""Largest p after Holm's correction at which a setting is said to matter."""

Logs = Sequence[Sequence[float]]
"""Blocks x runs: the logarithm of what was measured."""

Direction = Literal["lower", "higher", "inconclusive", "one block: no interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEffect:
    """An effect on the log scale."""

    value: float
    """0: no effect."""
    standard_error: float | None
    """None for one block."""
    degrees: int
    """Degrees of freedom of the standard error."""
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An effect in percent, with its 95% interval and its p."""

    blocks: int
    """Blocks that it was measured in: the n of the interval."""
    change_percent: float
    """100 * (ratio - 1): negative if what was measured becomes lower."""
    low_percent: float | None
    """Lower end of the 95% interval; None, like the next three, for one block."""
    high_percent: float | None
    p: float | None
    """Of the two-sided t test."""
    holm_p: float | None
    """The same after Holm's correction for all effects of the family."""
    direction: Direction
    """Lower or higher if ``holm_p`` is at most 0.05."""
    half_width_points: float | None
    """Half of the interval's width, in percentage points; None for one block."""
    wanted_points: float
    """The half-width that the study is planned for, in percentage points."""
    blocks_for_precision: int | None
    """Total blocks for a half-width of at most ``wanted_points``, by the spread seen so far; None for one
    block, or if more than 1000 are needed. They are for a new sweep."""


def contrast(signs: Sequence[int], logs: Logs, scale: float = 1.0) -> LogEffect:
    """``scale`` times the mean log of the runs with +1 minus that of the runs with -1, mean over blocks.

    ``signs``: one per run, half of them -1 and half +1. ValueError for no block, or other signs.
    """
    runs, blocks = len(signs), len(logs)
    if not blocks or signs.count(1) != signs.count(-1) or {*signs} != {-1, 1}:
        raise ValueError("a contrast needs a block, and as many signs +1 as -1")
    by_block = [2 / runs * math.fsum(s * y for s, y in zip(signs, block, strict=True)) for block in logs]
    variance, degrees = error_variance(logs)
    return LogEffect(
        value=scale * statistics.fmean(by_block),
        standard_error=None if variance is None else abs(scale) * math.sqrt(4 * variance / (runs * blocks)),
        degrees=degrees,
        blocks=blocks,
    )


def error_variance(logs: Logs) -> tuple[float | None, int]:
    """Variance of one log value without what its run and its block add, and its degrees of freedom; None for
    one block."""
    blocks, runs = len(logs), len(logs[0])
    if blocks < 2:
        return None, 0
    of_block = [statistics.fmean(block) for block in logs]
    of_run = [statistics.fmean(column) for column in zip(*logs, strict=True)]
    mean = statistics.fmean(of_block)
    squares = math.fsum(
        (logs[b][r] - of_block[b] - of_run[r] + mean) ** 2 for b in range(blocks) for r in range(runs)
    )
    degrees = (runs - 1) * (blocks - 1)
    return squares / degrees, degrees


def paired(log_ratios: Sequence[float]) -> LogEffect:
    """The effect of one arm against another from their log ratio in each block: the variance is that of these
    ratios alone."""
    blocks = len(log_ratios)
    error = half_width(log_ratios) / t_quantile(blocks - 1) if blocks > 1 else None
    return LogEffect(
        value=statistics.fmean(log_ratios), standard_error=error, degrees=blocks - 1, blocks=blocks
    )


def family(effects: Sequence[LogEffect], wanted_points: float = WANTED_POINTS) -> list[Effect]:
    """The effects in percent, with Holm's correction over all of them that have an interval;
    ``wanted_points``: the half-width that intervals should have."""
    tests = [
        p_value(effect.value, effect.standard_error, effect.degrees)
        for effect in effects
        if effect.standard_error is not None
    ]
    corrected = iter(zip(tests, holm(tests), strict=True))
    return [
        _effect(effect, wanted_points, *((None, None) if effect.standard_error is None else next(corrected)))
        for effect in effects
    ]


def _effect(effect: LogEffect, wanted_points: float, p: float | None, holm_p: float | None) -> Effect:
    direction: Direction = "inconclusive"
    low = high = width = None
    if effect.standard_error is None or holm_p is None:
        direction = "one block: no interval"
    else:
        half = t_quantile(effect.degrees) * effect.standard_error
        low, high = _percent(effect.value - half), _percent(effect.value + half)
        width = width_points(effect.value, half)
        if holm_p <= SIGNIFICANCE:
            direction = "lower" if effect.value < 0 else "higher"
    return Effect(
        blocks=effect.blocks,
        change_percent=_percent(effect.value),
        low_percent=low,
        high_percent=high,
        p=p,
        holm_p=holm_p,
        direction=direction,
        half_width_points=width,
        wanted_points=wanted_points,
        blocks_for_precision=blocks_for_precision(effect, wanted_points),
    )


def blocks_for_precision(effect: LogEffect, points: float) -> int | None:
    """The fewest blocks whose interval has a half-width of at most ``points`` percentage points, if they
    scatter as these do; None for one block, or if more than 1000 are needed."""
    if effect.standard_error is None:
        return None
    of_one_block = effect.standard_error * math.sqrt(effect.blocks)
    degrees = effect.degrees // (effect.blocks - 1)
    for blocks in range(2, MOST_BLOCKS + 1):
        half = t_quantile(degrees * (blocks - 1)) * of_one_block / math.sqrt(blocks)
        if width_points(effect.value, half) <= points:
            return blocks
    return None


def holm(p_values: Sequence[float]) -> list[float]:
    """P values after Holm's step-down correction (1979): of all effects without a true effect, any is
    declared at 0.05 with a probability of at most 5%."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def unsteady(signs: Sequence[Sequence[int]], logs: Logs) -> list[float]:
    """For each contrast, Holm's p that it changes from block to block no more than the others do: a test of
    its variance against that of all others (F). All 1 for one block, or without other contrasts."""
    blocks, runs = len(logs), len(logs[0])
    variance, degrees = error_variance(logs)
    others = degrees - (blocks - 1)
    if variance is None or others < 1 or variance <= NO_SCATTER**2:
        return [1.0] * len(signs)
    from scipy.stats import f

    tests = []
    for one in signs:
        values = [math.fsum(s * y for s, y in zip(one, block, strict=True)) for block in logs]
        own = statistics.variance(values) / runs
        rest = (degrees * variance - (blocks - 1) * own) / others
        tests.append(float(f.sf(own / rest, blocks - 1, others)) if rest > 0 else 0.0)
    return holm(tests)


def _percent(log_ratio: float) -> float:
    # An extreme spread overflows exp; the interval then says "no idea" in numbers that JSON can hold.
    return 100 * (math.exp(min(log_ratio, 700.0)) - 1)
