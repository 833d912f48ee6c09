"""A comparison on the terminal: its tables, what they mean, and what was left out."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis.report import formatting
from vbench.analysis.results import Comparison, LeftOut, Table

COLOURS = {"faster": "green", "slower": "red"}

LEFT_OUT_SHOWN = 5

SHORT = {
    "latency_mean_first_half_s": "first half",
    "latency_mean_second_half_s": "second half",
    "steady_latency_mean_s": "all slots busy",
    "makespan_s": "makespan",
}
"""What is compared beside the mean latency, in a word or two."""


def show(console: Console, comparison: Comparison) -> None:
    """Print the tables, each arm's limit, and whatever a reader must know beside the numbers."""
    for table in comparison.tables:
        console.print()
        console.print(_grid(table))
    console.print(
        Text("± and [ ]: 95% intervals over n blocks; improvement: paired, how much lower the latency is")
    )
    for line in _beside(comparison):
        console.print(Text(line), soft_wrap=True)
    if comparison.scenarios:
        console.print(_limits(comparison))
    provenance = comparison.provenance
    console.print(Text(provenance.ledger), soft_wrap=True)
    for fault in provenance.faults:
        console.print(Text(f"NOT WHAT WAS WRITTEN: {fault}", "red"), soft_wrap=True)
    for line in (*provenance.earlier, *provenance.remarks):
        console.print(Text(line, "yellow"), soft_wrap=True)
    for note in comparison.notes:
        console.print(Text(note), soft_wrap=True)
    for gap in formatting.gaps(comparison):
        console.print(Text(gap, "yellow"), soft_wrap=True)
    for each in comparison.left_out[:LEFT_OUT_SHOWN]:
        console.print(Text(f"left out: {_name(each)}: {each.reason}", "yellow"), soft_wrap=True)
    if len(comparison.left_out) > LEFT_OUT_SHOWN:
        console.print(Text(f"left out: {len(comparison.left_out) - LEFT_OUT_SHOWN} more", "yellow"))


def _beside(comparison: Comparison) -> Iterator[str]:
    """For each row its halves, window and makespan in a line, and what is to be known of its interval."""
    for table in comparison.tables:
        for row in table.rows:
            name = f"{row.scenario}, against {table.baseline}"
            if row.beside:
                each = (f"{SHORT[one.metric]} {formatting.percent(one.improvement)}" for one in row.beside)
                yield f"{name}: {', '.join(each)}"
            for text in (formatting.stability(row), formatting.precision(row.improvement)):
                if text:
                    yield f"{name}: {text}."


def _name(left_out: LeftOut) -> str:
    """A trial by its arm and block; by its folder where these are not known."""
    if left_out.arm and left_out.block:
        return f"{left_out.arm} block {left_out.block}"
    return Path(left_out.folder).name


def _grid(table: Table) -> Grid:
    grid = Grid()
    grid.add_column("Scenario")
    grid.add_column(f"Average latency - {table.candidate}", justify="right")
    grid.add_column(f"Average latency - {table.baseline}", justify="right")
    grid.add_column("Improvement", justify="right")
    grid.add_column("n", justify="right")
    grid.add_column("Verdict")
    for row in table.rows:
        value = row.improvement
        grid.add_row(
            Text(row.scenario),
            formatting.seconds(row.candidate),
            formatting.seconds(row.baseline),
            Text(formatting.percent(value)),
            str(value.blocks if value else 0),
            Text(formatting.verdict(value), COLOURS.get(value.verdict, "") if value else ""),
        )
    return grid


def _limits(comparison: Comparison) -> Grid:
    grid = Grid(
        title="The limit of each arm, by its own rates, and how near it came",
        title_justify="left",
        title_style="",
    )
    for name in ("Scenario", "Arm", "Limit"):
        grid.add_column(name)
    for name in ("needs", "measured", "efficiency"):
        grid.add_column(name, justify="right")
    for scenario in comparison.scenarios:
        for place, arm in enumerate(scenario.arms):
            name = "" if place else scenario.name
            grid.add_row(Text(name), Text(arm.name), *map(Text, formatting.bottleneck(arm)))
    return grid
