"""Verdicts of a comparison as text: their tests, and what would decide what is inconclusive."""

from collections.abc import Iterator, Sequence

from vbench.analysis.power import MOST_BLOCKS
from vbench.analysis.report import explanations
from vbench.analysis.results import Comparison, TableRow
from vbench.record.looks import Look


def verdict(row: TableRow) -> str:
    """``faster``, ``faster, by less than 5%``, ``equivalent within ±5%`` or ``inconclusive``."""
    decision = row.decision
    if decision is None:
        return row.verdict or ""
    if decision.verdict == "equivalent":
        return f"equivalent within ±{decision.equivalence_percent:g}%"
    if decision.verdict in ("faster", "slower") and decision.is_within_bound:
        return f"{decision.verdict}, by less than {decision.equivalence_percent:g}%"
    return decision.verdict


def p_columns(rows: Sequence[TableRow]) -> tuple[str, ...]:
    """Heads of the columns of ``p_values``; none if no row has a decision."""
    percents = [row.decision.equivalence_percent for row in rows if row.decision is not None]
    return ("p ≠", f"p ±{percents[0]:g}%") if percents else ()


def p_values(row: TableRow) -> tuple[str, str]:
    """P of the difference and of the equivalence test, after Holm's correction."""
    if row.decision is None:
        return "", ""
    return p_text(row.decision.difference_holm_p), p_text(row.decision.equivalence_holm_p)


def p_text(p: float | None) -> str:
    """P with two digits; empty if there is none."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def method_of_decisions(rows: Sequence[TableRow]) -> str:
    """What the verdicts of these rows mean; empty if they have none."""
    decisions = [row.decision for row in rows if row.decision is not None]
    if not decisions:
        return ""
    count, percent = decisions[0].rows, decisions[0].equivalence_percent
    text = (
        f"p ≠: of the test that the arms differ. p ±{percent:g}%: of two one-sided tests that they differ by"
        f" less than {percent:g}%. A verdict needs a p of at most 0.05."
    )
    if count < 2:
        return text
    return (
        f"{text} Both are after Holm's correction over all {count} rows of this comparison, so a row whose"
        f" interval excludes 0 can be inconclusive."
    )


def method(comparison: Comparison) -> Iterator[str]:
    """Paragraphs on what the intervals and verdicts of a comparison mean."""
    text = explanations.METHOD if comparison.is_paired else explanations.UNPAIRED_METHOD
    yield text.replace("The 95% interval is", f"The {confidence_text(comparison.look)} interval is")
    rows = [row for table in comparison.tables for row in table.rows]
    yield from filter(None, (method_of_look(comparison.look), method_of_decisions(rows)))


def method_of_look(look: Look | None) -> str:
    """How several looks at the results change the tests; empty if there is only one."""
    if look is None or look.share == 1:
        return ""
    intervals = f"intervals of improvements are {confidence_text(look)} intervals"
    if look.blocks in look.looks.added:
        return (
            f"Look {look.number} was not planned: blocks were added to the finished sweep. It may be wrong in"
            f" {5 * look.share:.2g}% of sweeps, in addition to the looks before it. So {intervals}, and each"
            f" p is divided by {look.share:.2g}. To stay within 5% over all looks, use blocks=auto from the"
            f" start."
        )
    *looks, last = look.looks.planned
    return (
        f"This is look {look.number}, after {look.blocks} blocks; blocks=auto planned looks after"
        f" {', '.join(map(str, looks))} and {last} blocks. The looks share an error rate of 5%, of which this"
        f" one may spend {5 * look.share:.2g}%. So {intervals}, and each p is divided by {look.share:.2g}."
    )


def confidence_text(look: Look | None) -> str:
    """Of the intervals of improvements: ``95%``, or more for one of several looks."""
    return "95%" if look is None or look.share == 1 else f"{100 - 5 * look.share:.3g}%"


def needed(row: TableRow, *, is_paired: bool = True) -> str:
    """What it would take to decide a row; empty if it is decided, or its verdict unknown.

    ``is_paired``: whether a new sweep would have both arms.
    """
    decision = row.decision
    if decision is None or decision.needed is None:
        return ""
    if decision.verdict != "inconclusive":
        return "One block cannot be decided: run a new sweep with blocks=5"
    percent, take = decision.equivalence_percent, decision.needed
    aim = f"To tell a difference of {percent:g}% from none"
    if take.blocks is None:
        return f"Inconclusive. {aim} would take more than {MOST_BLOCKS} blocks, by the spread so far"
    if not is_paired:
        return (
            f"Inconclusive. {aim}, measure both sweeps with blocks={take.blocks} (80% power by the spread so"
            f" far), and save the baseline again"
        )
    duration = "" if take.hours is None else f" takes about {hours(take.hours)},"
    return (
        f"Inconclusive. {aim}, run a new sweep with blocks={take.blocks} and judge it on its own"
        f" (it{duration} has {take.further_blocks} more blocks than this one, and 80% power by the spread so"
        f" far)"
    )


def hours(value: float) -> str:
    """``25 min`` or ``3.5 h``."""
    return f"{60 * value:.0f} min" if value < 1 else f"{value:.1f} h"
