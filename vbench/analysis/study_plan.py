"""Plans a study: how many blocks and hours it takes, by the spread of blocks that were measured before."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.decisions import EQUIVALENCE_PERCENT
from vbench.analysis.power import (
    POWER,
    SIGNIFICANCE,
    blocks_for_equivalence,
    blocks_to_detect,
    equivalence_bounds,
)
from vbench.analysis.results import Comparison, Table, TableRow
from vbench.analysis.statistics import log_ratios

SPREAD_CONFIDENCE = 0.8
"""Of the bound of the true spread, which few blocks show only roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks with which a study reaches the wanted power; None for more than 1000."""

    by_spread: int | None
    """If blocks scatter as those before."""
    at_most: int | None
    """If their spread is at the upper end of its one-sided 80% interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """What one scenario of one pair of arms takes."""

    scenario: str
    baseline: str
    candidate: str
    blocks: int
    """Blocks that the spread is from."""
    spread_percent: float
    """100 times the standard deviation of the blocks' log(candidate / baseline)."""
    spread_at_most_percent: float
    """Upper end of its one-sided 80% interval, for normal noise."""
    detect: Blocks
    """To find the effect."""
    equivalence: Blocks
    """To show that equal arms are equivalent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What all rows of a comparison take."""

    name: str
    effect_percent: float
    equivalence_percent: float
    power: float
    level: float
    """Of each test: 0.05 over the number of rows, so that it holds whatever Holm's correction gives."""
    rows: Sequence[RowPlan]
    block_s: float | None
    """Seconds of a block with all arms; None if they are unknown."""

    @property
    def all_rows(self) -> Blocks:
        """Blocks that are enough for both questions in every row."""
        every = [one for row in self.rows for one in (row.detect, row.equivalence)]
        return Blocks(
            by_spread=_most([one.by_spread for one in every]), at_most=_most([one.at_most for one in every])
        )

    def hours(self, blocks: int | None) -> float | None:
        """Hours of a sweep of so many blocks; None if a duration is unknown."""
        return None if blocks is None or self.block_s is None else blocks * self.block_s / 3600


def plan(
    comparison: Comparison,
    effect_percent: float,
    equivalence_percent: float | None = None,
    power: float = POWER,
) -> StudyPlan:
    """Plan a study like the one that was compared, from the spread of its blocks.

    ``effect_percent``: a difference in mean latency that the study must find, either way;
    ``equivalence_percent``: None is what the comparison decided by. Rows with fewer than two blocks have no
    spread and are left out.
    """
    measured = [
        (table, row, logs)
        for table in comparison.tables
        for row in table.rows
        if len(logs := _log_ratios(comparison, table, row)) > 1
    ]
    level = SIGNIFICANCE / max(1, len(measured))
    if equivalence_percent is None:
        decisions = [row.decision for _, row, _ in measured if row.decision is not None]
        equivalence_percent = decisions[0].equivalence_percent if decisions else EQUIVALENCE_PERCENT
    return StudyPlan(
        name=comparison.name,
        effect_percent=effect_percent,
        equivalence_percent=equivalence_percent,
        power=power,
        level=level,
        rows=tuple(
            _row(table, row, logs, effect_percent, equivalence_percent, level, power)
            for table, row, logs in measured
        ),
        block_s=_block_s(comparison),
    )


def _row(
    table: Table,
    row: TableRow,
    logs: Sequence[float],
    effect_percent: float,
    equivalence_percent: float,
    level: float,
    power: float,
) -> RowPlan:
    spread = statistics.stdev(logs)
    at_most = spread_at_most(spread, len(logs))
    # An increase by so many percent is the smaller step on the log scale than a decrease.
    effect, bounds = math.log1p(effect_percent / 100), equivalence_bounds(equivalence_percent)
    return RowPlan(
        scenario=row.scenario,
        baseline=table.baseline,
        candidate=table.candidate,
        blocks=len(logs),
        spread_percent=100 * spread,
        spread_at_most_percent=100 * at_most,
        detect=Blocks(
            by_spread=blocks_to_detect(effect, spread, level, power),
            at_most=blocks_to_detect(effect, at_most, level, power),
        ),
        equivalence=Blocks(
            by_spread=blocks_for_equivalence(0.0, spread, level, bounds, power),
            at_most=blocks_for_equivalence(0.0, at_most, level, bounds, power),
        ),
    )


def spread_at_most(spread: float, blocks: int) -> float:
    """Upper end of the one-sided 80% interval of a standard deviation, for normal noise (chi-squared)."""
    from scipy.stats import chi2

    degrees = blocks - 1
    return spread * math.sqrt(degrees / float(chi2.ppf(1 - SPREAD_CONFIDENCE, degrees)))


def _log_ratios(comparison: Comparison, table: Table, row: TableRow) -> Sequence[float]:
    """Those of a row; for files of earlier versions from the trials."""
    if row.log_ratios:
        return row.log_ratios
    arms = {
        arm.name: {trial.block: trial.latency_mean_s for trial in arm.trials}
        for scenario in comparison.scenarios
        if scenario.name == row.scenario
        for arm in scenario.arms
    }
    old, new = arms.get(table.baseline, {}), arms.get(table.candidate, {})
    both = [block for block in old if block in new]
    return log_ratios([old[block] for block in both], [new[block] for block in both]) if both else ()


def _block_s(comparison: Comparison) -> float | None:
    """Seconds of one trial of every arm in every scenario."""
    arms = [arm for scenario in comparison.scenarios for arm in scenario.arms]
    durations = [[sum(trial.phases_s.values()) for trial in arm.trials] for arm in arms]
    if not arms or any(min(of_arm) <= 0 for of_arm in durations):
        return None
    return sum(statistics.fmean(of_arm) for of_arm in durations)


def _most(blocks: Sequence[int | None]) -> int | None:
    """The most of them; None if one is unknown, or there are none."""
    known = [one for one in blocks if one is not None]
    return max(known) if known and len(known) == len(blocks) else None
