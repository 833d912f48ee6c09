"""A comparison on the terminal: its tables, what they mean, and what was left out."""

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis import words
from vbench.analysis.results import Comparison, Table

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
    console.print(_limits(comparison))
    for note in comparison.notes:
        console.print(Text(note), soft_wrap=True)
    for table in comparison.tables:
        for row in table.rows:
            for gap in row.left_out:
                console.print(
                    Text(f"{row.scenario}: {gap}; that block does not count.", "yellow"), soft_wrap=True
                )
    for each in comparison.left_out[:LEFT_OUT_SHOWN]:
        text = f"left out: {each.arm} block {each.block}: {each.reason}"
        console.print(Text(text, "yellow"), soft_wrap=True)
    if len(comparison.left_out) > LEFT_OUT_SHOWN:
        console.print(Text(f"left out: {len(comparison.left_out) - LEFT_OUT_SHOWN} more", "yellow"))


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
