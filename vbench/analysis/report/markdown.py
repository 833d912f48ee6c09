"""A comparison as a page of Markdown: tables, verdicts, where the time went, bottlenecks, excluded trials."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vbench.analysis.report import (
    decision_text,
    explanations,
    formatting,
    markdown_quantiles,
    markdown_screening,
)
from vbench.analysis.report.markdown_details import details
from vbench.analysis.report.markdown_table import head, row
from vbench.analysis.results import Comparison, Table
from vbench.analysis.sources import Provenance

Pictures = Sequence[tuple[str, str]]
"""File name and caption of each plot next to the page."""


def page(comparison: Comparison, pictures: Pictures, nics: Pictures) -> str:
    """The whole page, with plots of the whole comparison at the top and those of single trials' NICs last."""
    return "\n".join(_lines(comparison, pictures, nics)).rstrip() + "\n"


def _lines(comparison: Comparison, pictures: Pictures, nics: Pictures) -> Iterator[str]:
    yield f"# {_title(comparison)}"
    yield ""
    yield f"From `{comparison.name}`, by `vbench compare`."
    if comparison.screening is not None:
        yield from ("", *markdown_screening.section(comparison.screening))
    else:
        confidence = decision_text.confidence_text(comparison.look)
        for table in comparison.tables:
            yield from ("", *_table(table, confidence))
        for paragraph in decision_text.method(comparison):
            yield from ("", paragraph)
    yield from _notes(comparison)
    yield from _secondary(comparison)
    yield from markdown_quantiles.section(comparison)
    yield from _stability(comparison)
    yield from _shown(pictures)
    if comparison.scenarios:
        yield from details(comparison)
    if nics:
        yield from ("", "## NICs over time", "", explanations.NICS)
        yield from _shown(nics)
    yield from _excluded(comparison)
    yield from _records(comparison.provenance)


def _title(comparison: Comparison) -> str:
    if comparison.screening is not None:
        return markdown_screening.title(comparison.screening)
    candidates = dict.fromkeys(table.candidate for table in comparison.tables)
    baselines = dict.fromkeys(table.baseline for table in comparison.tables)
    return f"{', '.join(candidates)} against {', '.join(baselines)}"


def _table(table: Table, confidence: str) -> Iterator[str]:
    yield from head(
        (
            "Scenario",
            f"Average latency - {table.candidate}",
            f"Average latency - {table.baseline}",
            f"Improvement [{confidence} interval]",
            "n (blocks)",
            *(decision_text.p_columns(table.rows)),
            "Verdict",
        ),
        "lrrrr" + "r" * len(decision_text.p_columns(table.rows)) + "l",
    )
    for one in table.rows:
        yield row(
            *formatting.row_cells(one),
            *(decision_text.p_values(one) if decision_text.p_columns(table.rows) else ()),
            decision_text.verdict(one),
        )


def _notes(comparison: Comparison) -> Iterator[str]:
    """What a reader must know before using the tables."""
    yield from ("", comparison.provenance.ledger)
    if comparison.provenance.faults:
        yield from ("", "**Not what the trials wrote:**", "")
        yield from (f"- {fault}" for fault in comparison.provenance.faults)
    wide = () if comparison.screening is not None else _wide(comparison)
    notes = dict.fromkeys([*comparison.notes, *formatting.uncounted(comparison), *wide])
    if notes:
        yield ""
        yield from (f"- {note}" for note in notes)


def _wide(comparison: Comparison) -> Iterator[str]:
    """What it would take: a sentence per row that is undecided, or whose interval is wider than wanted."""
    for table in comparison.tables:
        for one in table.rows:
            for text in (
                decision_text.needed(one, is_paired=comparison.is_paired),
                formatting.precision(one.improvement, is_paired=comparison.is_paired),
            ):
                if text:
                    yield f"{one.scenario}, {table.candidate} against {table.baseline}: {text}."


def _secondary(comparison: Comparison) -> Iterator[str]:
    if not any(one.secondary for table in comparison.tables for one in table.rows):
        return
    yield from ("", "## Halves, steady window, makespan", "", explanations.SECONDARY)
    rows = [one for table in comparison.tables for one in table.rows]
    differs = any(one.beyond_mean is not None for of_row in rows for one in of_row.secondary)
    if differs:
        yield from ("", explanations.BEYOND_MEAN)
    for table in comparison.tables:
        yield ""
        yield from head(
            (
                "Scenario",
                "",
                table.candidate,
                table.baseline,
                f"Improvement [{decision_text.confidence_text(comparison.look)} interval]",
                "n (blocks)",
                *(("More than that of the mean",) if differs else ()),
            ),
            "llr",
        )
        for one in table.rows:
            for secondary in one.secondary:
                yield row(
                    one.scenario,
                    formatting.SECONDARY[secondary.metric],
                    formatting.seconds(secondary.candidate),
                    formatting.seconds(secondary.baseline),
                    formatting.percent(secondary.improvement),
                    str(secondary.improvement.blocks),
                    *((formatting.percent(secondary.beyond_mean),) if differs else ()),
                )


def _stability(comparison: Comparison) -> Iterator[str]:
    lines = [
        f"- {one.scenario}, {table.candidate} against {table.baseline}: {' '.join(sentences)}"
        for table in comparison.tables
        for one in table.rows
        if (sentences := formatting.stability(one))
    ]
    if lines:
        yield from ("", "## Single blocks and drift", "", explanations.STABILITY, "", *lines)


def _shown(pictures: Pictures) -> Iterator[str]:
    for name, caption in pictures:
        yield from ("", f"![{caption}]({name})", "", f"*{caption}*")


def _excluded(comparison: Comparison) -> Iterator[str]:
    yield from ("", "## Excluded trials", "")
    if not comparison.excluded:
        yield "None: every planned trial is valid."
        return
    yield from head(("trial", "arm", "block", "reason"), "lll")
    for trial in comparison.excluded:
        yield row(Path(trial.folder).name, trial.arm, trial.block, trial.reason)


def _records(provenance: Provenance) -> Iterator[str]:
    yield from ("", "## Records", "", explanations.RECORDS)
    if provenance.remarks or provenance.earlier:
        yield ""
        yield from (f"- {line}" for line in (*provenance.earlier, *provenance.remarks))
    if provenance.superseded:
        yield ""
        yield from head(("begun, but not among the records", "arm", "block", "begun", "status", "now"), "l")
        for lost in provenance.superseded:
            yield row(*(str(lost[name]) for name in ("trial_id", "arm", "block", "at", "status", "fate")))
