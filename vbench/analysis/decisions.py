"""Decides each row of a comparison: faster, slower, equivalent within a bound, or inconclusive and what it
would take.

Two tests per row on the paired log ratios of its blocks: the two-sided t test that the arms differ, and two
one-sided t tests (Schuirmann 1987) that they differ by less than the bound. Holm's correction (1979) is over
all rows of the comparison, once for each of the two. So at most 5% of comparisons call a row faster or slower
whose arms are equal, and at most 5% call a row equivalent whose arms differ by the bound or more. If a sweep
looks at its results several times, each look may spend only its share of these 5%: p is divided by the share.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.effects import holm
from vbench.analysis.power import (
    POWER,
    SIGNIFICANCE,
    Bounds,
    blocks_for_equivalence,
    blocks_to_detect,
    equivalence_bounds,
)
from vbench.analysis.statistics import NO_SCATTER, Verdict, p_value

EQUIVALENCE_PERCENT = 5.0
"""Default bound: a difference below it does not matter."""

Logs = Sequence[float]
"""log(candidate / baseline) of each block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How much larger the log of the candidate's mean latency is than that of the baseline's."""

    centre: float
    standard_error: float
    degrees: float
    """Degrees of freedom of its t distribution."""
    spread: float
    """Standard deviation of the difference that one block shows."""
    blocks: int
    """Blocks that it is from, of the arm with fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What it would take to decide an inconclusive row, if further blocks scatter as these do."""

    blocks: int | None
    """Blocks of a new sweep that tell a difference of the bound from none with 80% power; if there are as
    many already, blocks that decide for a difference like the one seen. None if there is one block, or more
    than 1000 are needed."""
    further_blocks: int | None
    """Without those that were measured."""
    hours: float | None
    """Of a sweep of so many blocks with all of its arms; None if durations or blocks are unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict on one row, and its tests."""

    verdict: Verdict
    rows: int
    """Rows with an interval over which Holm's correction is."""
    equivalence_percent: float
    difference_p: float | None
    """Of the two-sided t test that the arms are equal; None, like the next three, for one block."""
    difference_holm_p: float | None
    """The same divided by the look's share, after Holm's correction."""
    equivalence_p: float | None
    """Of the two one-sided t tests: the larger p."""
    equivalence_holm_p: float | None
    needed: Needed | None
    """None unless the row is inconclusive or has one block."""

    @property
    def is_within_bound(self) -> bool:
        """Whether the difference is shown to be smaller than the bound, also if it is shown to exist."""
        return self.equivalence_holm_p is not None and self.equivalence_holm_p <= SIGNIFICANCE


def decide(
    rows: Sequence[Logs],
    equivalence_percent: float = EQUIVALENCE_PERCENT,
    block_s: float | None = None,
    share: float = 1.0,
) -> list[Decision]:
    """A decision for each row of a comparison, each with at least one block.

    ``block_s``: how long a block of the sweep takes, with all arms; ``share``: of the error of 5% that this
    look may spend.
    """
    return decide_estimates(
        [paired(logs) if len(logs) > 1 else None for logs in rows], equivalence_percent, block_s, share
    )


def decide_estimates(
    rows: Sequence[Estimate | None],
    equivalence_percent: float = EQUIVALENCE_PERCENT,
    block_s: float | None = None,
    share: float = 1.0,
) -> list[Decision]:
    """As ``decide``, by an estimate for each row, which is None if an arm has one block."""
    bounds = equivalence_bounds(equivalence_percent)
    tested = [row for row in rows if row is not None]
    differences = [_difference_p(row) for row in tested]
    equivalences = [_equivalence_p(row, bounds) for row in tested]
    adjusted = _adjusted(differences, share), _adjusted(equivalences, share)
    results = iter(zip(differences, adjusted[0], equivalences, adjusted[1], strict=True))
    decisions = []
    for row in rows:
        p = next(results) if row is not None else (None, None, None, None)
        verdict = _verdict(row, p[1], p[3])
        is_open = verdict in ("inconclusive", "one block: no interval")
        decisions.append(
            Decision(
                verdict=verdict,
                rows=len(tested),
                equivalence_percent=equivalence_percent,
                difference_p=p[0],
                difference_holm_p=p[1],
                equivalence_p=p[2],
                equivalence_holm_p=p[3],
                needed=_needed(row, len(tested), bounds, block_s) if is_open else None,
            )
        )
    return decisions


def _adjusted(ps: Sequence[float], share: float) -> list[float]:
    """P of the rows of a comparison, adjusted for the share of this look and for their number."""
    return holm([min(1.0, p / share) for p in ps])


def verdict_with(
    rows: Sequence[Logs], row: int, logs: Logs, equivalence_percent: float, share: float = 1.0
) -> Verdict:
    """The verdict on one row of a comparison if it had other log ratios, all other rows being the same."""
    changed = [logs if number == row else other for number, other in enumerate(rows)]
    bounds = equivalence_bounds(equivalence_percent)
    if len(logs) < 2:
        return "one block: no interval"
    tested = [number for number, other in enumerate(changed) if len(other) > 1]
    place = tested.index(row)
    return _verdict(
        paired(logs),
        _adjusted([difference_p(changed[number]) for number in tested], share)[place],
        _adjusted([equivalence_p(changed[number], bounds) for number in tested], share)[place],
    )


def paired(logs: Logs) -> Estimate:
    """From at least two blocks in which both arms ran."""
    spread = statistics.stdev(logs)
    return Estimate(
        centre=statistics.fmean(logs),
        standard_error=spread / math.sqrt(len(logs)),
        degrees=len(logs) - 1,
        spread=spread,
        blocks=len(logs),
    )


def unpaired(baseline: Sequence[float], candidate: Sequence[float]) -> Estimate:
    """From at least two blocks of each arm, which did not run side by side: Welch (1947), with
    Satterthwaite's degrees of freedom. Both are logs of mean latencies."""
    variances = statistics.variance(baseline), statistics.variance(candidate)
    parts = variances[0] / len(baseline), variances[1] / len(candidate)
    squares = parts[0] ** 2 / (len(baseline) - 1) + parts[1] ** 2 / (len(candidate) - 1)
    return Estimate(
        centre=statistics.fmean(candidate) - statistics.fmean(baseline),
        standard_error=math.sqrt(sum(parts)),
        degrees=sum(parts) ** 2 / squares if squares else len(baseline) + len(candidate) - 2,
        spread=math.sqrt(sum(variances)),
        blocks=min(len(baseline), len(candidate)),
    )


def difference_p(logs: Logs) -> float:
    """P of the two-sided t test that the arms are equal."""
    return _difference_p(paired(logs))


def _difference_p(row: Estimate) -> float:
    return p_value(row.centre, row.standard_error, row.degrees)


def equivalence_p(logs: Logs, bounds: Bounds) -> float:
    """P of two one-sided t tests that the difference is within the bounds: the larger of both."""
    return _equivalence_p(paired(logs), bounds)


def _equivalence_p(row: Estimate, bounds: Bounds) -> float:
    distance = min(row.centre - bounds.low, bounds.high - row.centre)
    if row.standard_error <= NO_SCATTER:
        return 0.0 if distance > 0 else 1.0
    from scipy.stats import t

    return float(t.sf(distance / row.standard_error, row.degrees))


def _verdict(row: Estimate | None, difference: float | None, equivalence: float | None) -> Verdict:
    if row is None or difference is None or equivalence is None:
        return "one block: no interval"
    if difference <= SIGNIFICANCE:
        return "faster" if row.centre < 0 else "slower"
    return "equivalent" if equivalence <= SIGNIFICANCE else "inconclusive"


def _needed(row: Estimate | None, rows: int, bounds: Bounds, block_s: float | None) -> Needed:
    blocks, measured = None, 1
    if row is not None:
        measured = row.blocks
        # Bonferroni's level bounds Holm's from below, so these blocks are enough whatever the other rows are.
        level = SIGNIFICANCE / rows
        blocks = blocks_to_decide(row.spread, level, bounds)
        if blocks is not None and blocks <= measured:
            blocks = _blocks_to_decide_like(row, level, bounds)
    return Needed(
        blocks=blocks,
        further_blocks=None if blocks is None else max(0, blocks - measured),
        hours=None if blocks is None or block_s is None else blocks * block_s / 3600,
    )


def blocks_to_decide(spread: float, level: float, bounds: Bounds, power: float = POWER) -> int | None:
    """The fewest blocks that find a difference as large as the nearer bound, and that show equivalence of
    equal arms, each with this power; None for more than 1000.

    ``spread``: standard deviation of the blocks' log ratios; ``level``: of each test.
    """
    nearer = min(-bounds.low, bounds.high)
    both = (
        blocks_to_detect(nearer, spread, level, power),
        blocks_for_equivalence(0.0, spread, level, bounds, power),
    )
    return None if None in both else max(blocks for blocks in both if blocks is not None)


def _blocks_to_decide_like(row: Estimate, level: float, bounds: Bounds) -> int | None:
    """The fewest blocks, more than there are, that find a difference like this one or show that it is within
    the bounds."""
    either = (
        blocks_to_detect(row.centre, row.spread, level),
        blocks_for_equivalence(row.centre, row.spread, level, bounds),
    )
    known = [blocks for blocks in either if blocks is not None]
    return max(min(known), row.blocks + 1) if known else None
