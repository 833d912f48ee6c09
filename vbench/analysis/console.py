"""A comparison on the terminal: its tables, what they mean, and what was left out."""

from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis import words
from vbench.analysis.results import Comparison, LeftOut, Table

COLOURS = {"faster": "green", "slower": "red"}

LEFT_OUT_SHOWN = 5


def show(console: Console, comparison: Comparison) -> None:
    """Print the tables, each arm's limit, and whatever a reader must know beside the numbers."""
    for table in comparison.tables:
        console.print()
        console.print(_grid(table))
    console.print(
        Text("± and [ ]: 95% intervals over n blocks; improvement: paired, how much lower the latency is")
    )
    if comparison.scenarios:
        console.print(_limits(comparison))
    for note in comparison.notes:
        console.print(Text(note), soft_wrap=True)
    for gap in words.gaps(comparison):
        console.print(Text(gap, "yellow"), soft_wrap=True)
    for each in comparison.left_out[:LEFT_OUT_SHOWN]:
        console.print(Text(f"left out: {_name(each)}: {each.reason}", "yellow"), soft_wrap=True)
    if len(comparison.left_out) > LEFT_OUT_SHOWN:
        console.print(Text(f"left out: {len(comparison.left_out) - LEFT_OUT_SHOWN} more", "yellow"))


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
            words.seconds(row.candidate),
            words.seconds(row.baseline),
            Text(words.percent(value)),
            str(value.blocks if value else 0),
            Text(words.verdict(value), COLOURS.get(value.verdict, "") if value else ""),
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
            grid.add_row(Text(name), Text(arm.name), *map(Text, words.bottleneck(arm)))
    return grid
