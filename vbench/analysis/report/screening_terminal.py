"""Screening on the terminal: which settings matter, how much each changes, and what acts together."""

from typing import Literal

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis.report import screening_text
from vbench.analysis.screening_results import MetricEffects, Screening

COLOURS = {"faster": "green", "slower": "red", "higher": "bold", "lower": "bold"}
"""Of verdicts; a higher throughput is good, and a higher latency is called slower."""


def show(console: Console, screening: Screening) -> None:
    """Print the tables of effects and how to read them."""
    console.print()
    title = f"{screening.scenario}, {screening.design.summary}"
    console.print(Text(title), soft_wrap=True)
    latency, *others = screening.metrics
    console.print(_settings(latency))
    if latency.interactions:
        console.print(_interactions(latency))
    for metric in others:
        # Its interactions are on the page: with a fixed number in flight, throughput follows latency.
        console.print(_settings(metric))
    console.print(Text(screening_text.summary(screening), "bold"), soft_wrap=True)
    for line in screening_text.method(screening, screening.metrics[0]):
        console.print(Text(line), soft_wrap=True)
    for line in screening_text.precision(screening):
        console.print(Text(line), soft_wrap=True)
    for gap in screening_text.left_out(screening):
        console.print(Text(gap, "yellow"), soft_wrap=True)


def _settings(metric: MetricEffects) -> Grid:
    grid = Grid()
    with_letters = any(setting.letter for setting in metric.settings)
    columns = screening_text.setting_columns(metric)
    for column in columns if with_letters else columns[1:]:
        grid.add_column(column, justify=_side(column))
    for cells in screening_text.setting_rows(metric):
        grid.add_row(*_texts(cells if with_letters else cells[1:]))
    return grid


def _interactions(metric: MetricEffects) -> Grid:
    grid = Grid()
    for column in screening_text.interaction_columns(metric):
        grid.add_column(column, justify=_side(column))
    for cells in screening_text.interaction_rows(metric):
        grid.add_row(*_texts(cells))
    return grid


def _side(column: str) -> Literal["left", "right"]:
    return "right" if "[95%]" in column or column in ("p (Holm)", "n") else "left"


def _texts(cells: tuple[str, ...]) -> list[Text]:
    *numbers, verdict = cells
    return [*map(Text, numbers), Text(verdict, COLOURS.get(verdict, ""))]
