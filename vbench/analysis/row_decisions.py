"""Puts the decision of each row, and that without any one block, into the tables of a comparison."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vbench.analysis.decisions import EQUIVALENCE_PERCENT, decide, verdict_with
from vbench.analysis.results import Table
from vbench.analysis.statistics import VerdictOf, leave_one_out
from vbench.analysis.trials import SweepTrial


def decided(
    tables: Sequence[Table], equivalence_percent: float, block_s: float | None = None, share: float = 1.0
) -> tuple[Table, ...]:
    """The tables with a decision in each row that has a block; Holm's correction is over all of them.

    ``block_s``: how long a block of the sweep takes; ``share``: of the error of 5% that this look may spend.
    """
    rows = [row for table in tables for row in table.rows if row.log_ratios]
    logs = [row.log_ratios for row in rows]
    decisions = decide(logs, equivalence_percent, block_s, share)

    def verdict_of(place: int) -> VerdictOf:
        return lambda some: verdict_with(logs, place, some, equivalence_percent, share)

    done = iter(
        replace(row, decision=decision, leave_one_out=leave_one_out(row.log_ratios, verdict_of(place)))
        for place, (row, decision) in enumerate(zip(rows, decisions, strict=True))
    )
    return tuple(
        replace(table, rows=tuple(next(done) if row.log_ratios else row for row in table.rows))
        for table in tables
    )


def block_s(trials: Sequence[SweepTrial]) -> float | None:
    """Seconds of a block with all of its trials: their mean duration times the most trials of a block; None
    if no duration is known."""
    durations = [total for measured in trials if (total := sum(measured.trial.phases_s.values())) > 0]
    if not durations:
        return None
    most = max(Counter((measured.sweep, measured.trial.block) for measured in trials).values())
    return statistics.fmean(durations) * most


def equivalence_percent(trials: Sequence[SweepTrial]) -> float:
    """``analysis.equivalence_percent`` of the trials' configurations: the least, or the default of older
    records."""
    configured = [measured.trial.config.get("analysis", {}) for measured in trials]
    return min(
        (float(one.get("equivalence_percent", EQUIVALENCE_PERCENT)) for one in configured),
        default=EQUIVALENCE_PERCENT,
    )
