"""The exit status of ``vbench compare`` under ``--fail-on-regression`` and ``--require-non-inferior``."""

import sys

from vbench.analysis import provenance
from vbench.analysis.results import Comparison, Table, TableRow
from vbench.errors import ChangedRecordError, ConfigError

REGRESSION = 4
NOT_SHOWN = 5
CHANGED = ChangedRecordError.exit_status


def status(comparison: Comparison, regression: float | None, margin: float | None) -> int:
    """The exit status of a comparison, with its reasons on standard error.

    ``regression`` and ``margin`` are the bounds of ``--fail-on-regression`` and ``--require-non-inferior``,
    in percent or None. A changed record comes first, since it makes all else meaningless.

    Raises:
        ConfigError: a scenario has too few blocks for ``--fail-on-regression``.
    """
    if comparison.provenance.faults:
        print(f"vbench: {provenance.changed(comparison.provenance.faults)}", file=sys.stderr)
        return CHANGED
    statuses = [
        0 if regression is None else _gate(comparison, regression),
        0 if margin is None else _non_inferior(comparison, margin),
    ]
    return REGRESSION if REGRESSION in statuses else max(statuses)


def _non_inferior(comparison: Comparison, margin: float) -> int:
    """The exit status of ``--require-non-inferior``, with a sentence per row that does not show it."""
    if not any(table.rows for table in comparison.tables):
        print("vbench: --require-non-inferior has nothing to judge: no scenario has trials.", file=sys.stderr)
        return NOT_SHOWN
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
        print(f"vbench: {name} is {said}.", file=sys.stderr)
    if any(one in certain for one in failing):
        return REGRESSION
    return NOT_SHOWN if failing else 0


def _gate(comparison: Comparison, percent: float) -> int:
    """The exit status of ``--fail-on-regression``; ConfigError if a scenario has no interval, which would let
    anything pass."""
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
    for table, row in comparison.inconclusive(percent):
        print(
            f"vbench: {_latency_rose(table, row)}, which is more than {percent:g}%, but the interval includes"
            " smaller slowdowns: inconclusive. Run a new sweep with more blocks; do not extend this one"
            " (docs/statistics.md).",
            file=sys.stderr,
        )
    for table, row in comparison.regressions(percent):
        assert row.improvement is not None
        assert row.improvement.high_percent is not None
        print(
            f"vbench: {row.scenario}: {table.candidate} is slower than {table.baseline} by"
            f" {-row.improvement.percent:.1f}%, by at least {-row.improvement.high_percent:.1f}%, which is"
            f" more than {percent:g}%.",
            file=sys.stderr,
        )
    failed = comparison.regressions(percent)
    for table in comparison.tables:
        for row in table.rows:
            value = row.improvement
            if (table, row) in failed or value is None or value.slowdown_bound_percent is None:
                continue
            missed = max(0.0, value.slowdown_bound_percent)
            print(
                f"vbench: {row.scenario}: {table.candidate} passes --fail-on-regression {percent:g} against"
                f" {table.baseline}, but a regression of up to {missed:.1f}% would not be noticed. To exclude"
                f" that, add --require-non-inferior {percent:g}.",
                file=sys.stderr,
            )
    return REGRESSION if failed else 0


def _latency_rose(table: Table, row: TableRow) -> str:
    value = row.improvement
    assert value is not None
    assert value.low_percent is not None
    assert value.high_percent is not None
    return (
        f"{row.scenario}: {table.candidate} took {-value.percent:.1f}%"
        f" [{-value.high_percent:.1f}%, {-value.low_percent:.1f}%] longer than {table.baseline}"
    )
