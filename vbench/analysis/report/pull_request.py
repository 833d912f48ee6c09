"""A comparison as a comment on a pull request: the verdicts, the tables, and the rest to unfold."""

from collections import Counter
from collections.abc import Iterator, Sequence

from vbench.analysis.report import decision_text, formatting, markdown_screening
from vbench.analysis.report.markdown_table import head, row
from vbench.analysis.results import Comparison, Table

MARK = "<!-- vbench -->"
"""By which a bot finds its comment again, to replace it."""


def comment(comparison: Comparison, judged: Sequence[str] = ()) -> str:
    """The comment, in GitHub's Markdown; ``judged``: what the gates say."""
    return "\n".join(_lines(comparison, judged)) + "\n"


def _lines(comparison: Comparison, judged: Sequence[str]) -> Iterator[str]:
    yield MARK
    yield f"### vbench: {_summary(comparison)}"
    for line in judged:
        yield from ("", f"**{line}**")
    for table in comparison.tables:
        yield from ("", *_table(table))
    if comparison.screening is not None:
        yield from ("", *markdown_screening.section(comparison.screening))
        return
    yield from ("", "<details><summary>What the numbers mean</summary>", "")
    for paragraph in decision_text.method(comparison):
        yield from (paragraph, "")
    yield from (f"- {line}" for line in _remarks(comparison))
    yield from ("", "</details>")


def _summary(comparison: Comparison) -> str:
    """``1 slower, 2 equivalent``, or what screening asks."""
    if comparison.screening is not None:
        return markdown_screening.title(comparison.screening)
    verdicts: Counter[str] = Counter(
        one.verdict or "nothing counted" for table in comparison.tables for one in table.rows
    )
    order = ("slower", "faster", "equivalent", "inconclusive")
    names = [*(name for name in order if name in verdicts), *(name for name in verdicts if name not in order)]
    return ", ".join(f"{verdicts[name]} {name}" for name in names) or "nothing to compare"


def _table(table: Table) -> Iterator[str]:
    yield from head(
        ("Scenario", table.candidate, table.baseline, "Latency lower by", "n", "Verdict"), "lrrrrl"
    )
    for one in table.rows:
        yield row(*formatting.row_cells(one), decision_text.verdict(one))


def _remarks(comparison: Comparison) -> Iterator[str]:
    yield comparison.provenance.ledger
    yield from comparison.provenance.faults
    yield from comparison.notes
    for table in comparison.tables:
        for one in table.rows:
            if text := decision_text.needed(one, is_paired=comparison.is_paired):
                yield f"{one.scenario}: {text}."
    for trial in comparison.excluded:
        yield f"Excluded: {trial.arm} block {trial.block}: {trial.reason}"
