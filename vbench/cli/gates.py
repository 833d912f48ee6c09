"""The exit status of ``vbench compare`` under ``--fail-on-regression`` and ``--require-non-inferior``."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from vbench.analysis import provenance
from vbench.analysis.results import Comparison, Table, TableRow
from vbench.errors import ChangedRecordError, ConfigError

REGRESSION = 4
NOT_SHOWN = 5
CHANGED = ChangedRecordError.exit_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a gate says."""

    status: int
    lines: tuple[str, ...]
    """Its reasons, a sentence each."""


def judge(comparison: Comparison, regression: float | None, margin: float | None) -> Judged:
    """The exit status of a comparison, with its reasons.

    ``regression`` and ``margin`` are the bounds of ``--fail-on-regression`` and ``--require-non-inferior``,
    in percent or None. A changed record comes first, since it makes all else meaningless.

    Raises:
        ConfigError: a scenario has too few blocks for ``--fail-on-regression``.
    """
    if comparison.provenance.faults:
        return Judged(status=CHANGED, lines=(provenance.changed(comparison.provenance.faults),))
    gates = [
        *([] if regression is None else [_gate(comparison, regression)]),
        *([] if margin is None else [_non_inferior(comparison, margin)]),
    ]
    statuses = [0, *(gate.status for gate in gates)]
    return Judged(
        status=REGRESSION if REGRESSION in statuses else max(statuses),
        lines=tuple(line for gate in gates for line in gate.lines),
    )


def status(comparison: Comparison, regression: float | None, margin: float | None) -> int:
    """As ``judge``, with the reasons on standard error."""
    judged = judge(comparison, regression, margin)
    for line in judged.lines:
        print(f"vbench: {line}", file=sys.stderr)
    return judged.status


def _non_inferior(comparison: Comparison, margin: float) -> Judged:
    """``--require-non-inferior``, with a sentence per row that does not show it."""
    if not any(table.rows for table in comparison.tables):
        nothing = "--require-non-inferior has nothing to judge: no scenario has trials."
        return Judged(status=NOT_SHOWN, lines=(nothing,))
    lines = []
    certain = comparison.regressions(margin)
    failing = comparison.not_non_inferior(margin)
    for table, row in failing:
        value = row.improvement
        name = f"{row.scenario}: {table.candidate} against {table.baseline}"
        if value is None or value.slowdown_bound_percent is None or value.high_percent is None:
            blocks = value.blocks if value else 0
            given = "1 block gives" if blocks == 1 else f"{blocks} blocks give"
            said = f"not shown to be non-inferior: {given} no interval, at least two are needed"
        elif (table, row) in certain:
            said = (
                f"inferior: its latency is higher by at least {-value.high_percent:.1f}%, and {margin:g}% is"
                f" allowed"
            )
        else:
            said = (
                f"inconclusive, so not shown to be non-inferior: its latency may be higher by up to"
                f" {value.slowdown_bound_percent:.1f}%, and {margin:g}% is allowed"
            )
            if value.blocks_for_precision and value.blocks_for_precision > value.blocks:
                said += (
                    f"; for an interval of about ±{value.wanted_points:g} points, run a new sweep with"
                    f" blocks={value.blocks_for_precision}"
                )
        lines.append(f"{name} is {said}.")
    is_inferior = any(one in certain for one in failing)
    return Judged(status=REGRESSION if is_inferior else NOT_SHOWN if failing else 0, lines=tuple(lines))


def _gate(comparison: Comparison, percent: float) -> Judged:
    """``--fail-on-regression``; ConfigError if a scenario has no interval, which would let anything pass."""
    for table in comparison.tables:
        if not table.rows:
            raise ConfigError(
                f"--fail-on-regression has nothing to judge: no scenario has trials of {table.candidate} or"
                f" {table.baseline}"
            )
        for row in table.rows:
            if row.improvement is None or row.improvement.low_percent is None:
                blocks = row.improvement.blocks if row.improvement else 0
                raise ConfigError(
                    f"--fail-on-regression needs at least two blocks: '{row.scenario}' has {blocks} with"
                    f" valid trials of both {table.candidate} and {table.baseline}"
                )
    failed = comparison.regressions(percent)
    return Judged(status=REGRESSION if failed else 0, lines=tuple(_regressions(comparison, percent)))


def _regressions(comparison: Comparison, percent: float) -> Iterator[str]:
    """A sentence per row that may be, is, or is not shown to be no regression."""
    for table, row in comparison.inconclusive(percent):
        yield (
            f"{_latency_rose(table, row)}, which is more than {percent:g}%, but the interval includes smaller"
            " slowdowns: inconclusive. Run a new sweep with more blocks, or with blocks=auto"
            " (docs/statistics.md)."
        )
    failed = comparison.regressions(percent)
    for table, row in failed:
        assert row.improvement is not None
        assert row.improvement.high_percent is not None
        yield (
            f"{row.scenario}: {table.candidate} is slower than {table.baseline} by"
            f" {-row.improvement.percent:.1f}%, by at least {-row.improvement.high_percent:.1f}%, which is"
            f" more than {percent:g}%."
        )
    for table in comparison.tables:
        for row in table.rows:
            value = row.improvement
            if (table, row) in failed or value is None or value.slowdown_bound_percent is None:
                continue
            passes = (
                f"{row.scenario}: {table.candidate} passes --fail-on-regression {percent:g} against"
                f" {table.baseline}"
            )
            most = max(0.0, value.slowdown_bound_percent)
            if most > percent:
                yield (
                    f"{passes}, but it may be up to {most:.1f}% slower. To fail in that case, add"
                    f" --require-non-inferior {percent:g}."
                )
            else:
                yield f"{passes}: it is at most {most:.1f}% slower (upper end of the interval)."


def _latency_rose(table: Table, row: TableRow) -> str:
    value = row.improvement
    assert value is not None
    assert value.low_percent is not None
    assert value.high_percent is not None
    return (
        f"{row.scenario}: {table.candidate} took {-value.percent:.1f}%"
        f" [{-value.high_percent:.1f}%, {-value.low_percent:.1f}%] longer than {table.baseline}"
    )
