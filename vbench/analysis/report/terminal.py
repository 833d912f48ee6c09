"""A comparison on the terminal: its tables, what qualifies them, and which trials were excluded."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis.report import decision_text, formatting, screening_terminal
from vbench.analysis.results import Comparison, ExcludedTrial, Table

COLOURS = {"faster": "green", "slower": "red", "equivalent": "cyan"}

EXCLUDED_SHOWN = 5

SHORT = {
    "latency_mean_first_half_s": "first half",
    "latency_mean_second_half_s": "second half",
    "steady_latency_mean_s": "all slots busy",
    "steady_s_per_request": "s per request in that time",
    "makespan_s": "makespan",
}
"""Short names of what is compared in addition to the mean latency."""


def show(console: Console, comparison: Comparison) -> None:
    """Print the tables, the bottleneck of each arm, and everything that qualifies the numbers."""
    if comparison.screening is not None:
        # Its arms are many: what is known of each of them is on the page.
        screening_terminal.show(console, comparison.screening)
    else:
        _show_tables(console, comparison)
    provenance = comparison.provenance
    console.print(Text(provenance.ledger), soft_wrap=True)
    for fault in provenance.faults:
        console.print(Text(f"NOT WHAT THE TRIALS WROTE: {fault}", "red"), soft_wrap=True)
    for line in (*provenance.earlier, *provenance.remarks):
        console.print(Text(line, "yellow"), soft_wrap=True)
    for note in comparison.notes:
        console.print(Text(note), soft_wrap=True)
    for gap in formatting.uncounted(comparison):
        console.print(Text(gap, "yellow"), soft_wrap=True)
    for trial in comparison.excluded[:EXCLUDED_SHOWN]:
        console.print(Text(f"excluded: {_name(trial)}: {trial.reason}", "yellow"), soft_wrap=True)
    if len(comparison.excluded) > EXCLUDED_SHOWN:
        console.print(Text(f"excluded: {len(comparison.excluded) - EXCLUDED_SHOWN} more", "yellow"))


def _show_tables(console: Console, comparison: Comparison) -> None:
    for table in comparison.tables:
        console.print()
        console.print(_grid(table))
    console.print(
        Text(
            "Improvement: how much lower the candidate's latency is"
            f"{', paired by block' if comparison.is_paired else ''}. {_intervals(comparison)} over n"
            f" {'blocks' if comparison.is_paired else 'trials'}."
        ),
        soft_wrap=True,
    )
    if text := decision_text.method_of_look(comparison.look):
        console.print(Text(text), soft_wrap=True)
    rows = [row for table in comparison.tables for row in table.rows]
    if text := decision_text.method_of_decisions(rows):
        console.print(Text(text), soft_wrap=True)
    for line in _rows(comparison):
        console.print(Text(line), soft_wrap=True)
    if comparison.scenarios:
        console.print(_bottlenecks(comparison))


def _intervals(comparison: Comparison) -> str:
    confidence = decision_text.confidence_text(comparison.look)
    return "± and [ ]: 95% intervals" if confidence == "95%" else f"±: 95%, [ ]: {confidence} intervals"


def _rows(comparison: Comparison) -> Iterator[str]:
    """Per row: halves, window and makespan, then what qualifies its interval, indented."""
    for table in comparison.tables:
        for row in table.rows:
            sentences = [*formatting.stability(row)]
            texts = (
                decision_text.needed(row, is_paired=comparison.is_paired),
                formatting.precision(row.improvement, is_paired=comparison.is_paired),
            )
            sentences += [f"{text}." for text in texts if text]
            if text := formatting.quantiles(row):
                sentences.append(text)
            if not row.secondary and not sentences:
                continue
            secondary = (
                f"{SHORT[one.metric]} {formatting.percent(one.improvement)}" for one in row.secondary
            )
            yield f"{row.scenario}, against {table.baseline}: {', '.join(secondary)}".removesuffix(": ")
            yield from (f"  {sentence}" for sentence in sentences)


def _name(excluded: ExcludedTrial) -> str:
    """A trial by its arm and block; by its folder if these are unknown."""
    if excluded.arm and excluded.block:
        return f"{excluded.arm} block {excluded.block}"
    return Path(excluded.folder).name


def _grid(table: Table) -> Grid:
    grid = Grid()
    grid.add_column("Scenario", overflow="fold")
    grid.add_column(f"Average latency - {table.candidate}", justify="right")
    grid.add_column(f"Average latency - {table.baseline}", justify="right")
    grid.add_column("Improvement", justify="right")
    grid.add_column("n", justify="right")
    columns = decision_text.p_columns(table.rows)
    for column in columns:
        grid.add_column(column, justify="right")
    grid.add_column("Verdict")
    for row in table.rows:
        grid.add_row(
            *map(Text, formatting.row_cells(row)),
            *(decision_text.p_values(row) if columns else ()),
            Text(decision_text.verdict(row), COLOURS.get(row.verdict or "", "")),
        )
    return grid


def _bottlenecks(comparison: Comparison) -> Grid:
    grid = Grid(title="Bottleneck of each arm", title_justify="left", title_style="")
    for name in ("Scenario", "Arm", "Bottleneck"):
        grid.add_column(name)
    for name in ("busy", "measured", "utilisation"):
        grid.add_column(name, justify="right")
    for scenario in comparison.scenarios:
        for number, arm in enumerate(scenario.arms):
            name = "" if number else scenario.name
            grid.add_row(Text(name), Text(arm.name), *map(Text, formatting.bottleneck(arm)))
    return grid
