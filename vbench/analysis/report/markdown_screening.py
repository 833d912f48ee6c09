"""Screening as a part of a comparison's page: effects, interactions, and the design."""

from collections.abc import Iterator

from vbench.analysis.report import screening_text
from vbench.analysis.report.markdown_table import head, row
from vbench.analysis.screening_results import MetricEffects, Screening

WORDS_SHOWN = 31
"""Defining words of up to 9 factors in 16 or 32 runs; a page of them says nothing more."""


def title(screening: Screening) -> str:
    """The heading of the page."""
    count = len(screening.design.factors)
    return f"Which of {count} settings matters?" if count > 1 else "Does the setting matter?"


def section(screening: Screening) -> Iterator[str]:
    """The answer, the tables, and how to read them."""
    yield f"**{screening_text.summary(screening)}**"
    yield from ("", f"{screening.scenario.capitalize()}, {screening.design.summary}.")
    for metric in screening.metrics:
        yield from ("", *_settings(metric))
    for line in screening_text.method(screening, screening.metrics[0]):
        yield from ("", line)
    for metric in screening.metrics:
        if metric.interactions:
            yield from ("", *_interactions(metric))
    gaps = [*screening_text.precision(screening), *screening_text.left_out(screening)]
    if gaps:
        yield from ("", *(f"- {gap}" for gap in gaps))
    if screening.design.aliases:
        yield from ("", *_design(screening))


def _settings(metric: MetricEffects) -> Iterator[str]:
    yield from head(screening_text.setting_columns(metric), "lllrrrl")
    for cells in screening_text.setting_rows(metric):
        yield row(*cells)


def _interactions(metric: MetricEffects) -> Iterator[str]:
    yield from head(screening_text.interaction_columns(metric), "lrrrl")
    for cells in screening_text.interaction_rows(metric):
        yield row(*cells)


def _design(screening: Screening) -> Iterator[str]:
    design = screening.design
    yield f"Settings by letter: {screening_text.letters(screening)}. Arms are named by what they change."
    if design.generators:
        words = ", ".join(design.defining_relation[:WORDS_SHOWN])
        more = len(design.defining_relation) - WORDS_SHOWN
        rest = f" and {more} more, which `sweep.json` lists" if more > 0 else ""
        yield (
            f"Generators: {', '.join(design.generators)}. Defining relation: I = {words.replace(', ', ' = ')}"
            f"{rest}."
        )
