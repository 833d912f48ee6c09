"""``vbench plan SWEEP_OR_STUDY``: how many blocks and hours it takes to find an effect, or to show that there
is none, by the spread of a sweep that was measured before: a study, an arm against itself, or a pilot.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis import compare_sweep, comparison_file
from vbench.analysis.power import MOST_BLOCKS, POWER
from vbench.analysis.report.decision_text import hours
from vbench.analysis.results import Comparison
from vbench.analysis.study_plan import SPREAD_CONFIDENCE, Blocks, RowPlan, StudyPlan, plan
from vbench.config.option_files import find_option_files
from vbench.config.path_option import path_option
from vbench.errors import ConfigError, VbenchError, nearest
from vbench.record.files import SWEEP, RecordError
from vbench.run.progress import Display

PILOT = "run a pilot of two blocks first, such as vbench +experiments={} blocks=2, and plan from its folder"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="vbench plan", description=__doc__)
    made.add_argument(
        "source",
        metavar="SWEEP_OR_STUDY",
        help="a sweep's folder, such as outputs/sweeps/TIME, or the name of a study with results, such as aa",
    )
    made.add_argument(
        "--effect",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="difference in mean latency that must be found, either way (default: %(default)g)",
    )
    made.add_argument(
        "--equivalence",
        type=float,
        metavar="PERCENT",
        help="difference below which arms are equivalent (default: that of the trials)",
    )
    made.add_argument(
        "--power",
        type=float,
        default=100 * POWER,
        metavar="PERCENT",
        help="how often it must be found (default: %(default)g)",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan; exit status 2 for bad input, or if no scenario has two blocks."""
    options = parser().parse_args(arguments)
    try:
        for option, value in (
            ("--effect", options.effect),
            ("--equivalence", options.equivalence),
            ("--power", options.power),
        ):
            if value is not None and not 0 < value < 100:
                raise ConfigError(f"{option} {value:g} must be above 0 and below 100 percent")
        comparison = _comparison(options.source)
        made = plan(comparison, options.effect, options.equivalence, options.power / 100)
        if not made.rows:
            raise ConfigError(
                f"no scenario of {made.name} has two blocks with both arms, so its spread is unknown: run it"
                f" again with blocks=2 or more"
            )
        _show(Display().console, made, datetime.now().astimezone())
    except (VbenchError, RecordError) as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, VbenchError) else ConfigError.exit_status
    return 0


def _comparison(source: str) -> Comparison:
    """That of a sweep, or the committed one of a study."""
    folder = path_option(source)
    if (folder / SWEEP).exists():
        comparison = compare_sweep(folder)
        if comparison is None:
            raise ConfigError(f"{folder} varies no key that is compared by default")
        return comparison
    if (folder / comparison_file.DATA).exists():
        return comparison_file.read(folder)
    if folder.is_dir():
        raise ConfigError(f"{folder} holds neither {SWEEP} nor {comparison_file.DATA}: give a sweep's folder")
    studies: dict[str, Path] = find_option_files(None).studies()
    if source not in studies:
        raise ConfigError(f"{source} is neither a folder nor a study: {nearest(source, studies)}")
    results = studies[source].with_suffix("")
    if not (results / comparison_file.DATA).exists():
        raise ConfigError(f"the study {source} has no results: {PILOT.format(source)}")
    return replace(comparison_file.read(results), name=source)


def _show(console: Console, made: StudyPlan, now: datetime) -> None:
    effect, bound = f"{made.effect_percent:g}%", f"±{made.equivalence_percent:g}%"
    console.print(
        Text(f"Blocks for {100 * made.power:g}% power, by the spread of {made.name}"), soft_wrap=True
    )
    grid = Grid()
    for name in ("Scenario", "Arms"):
        grid.add_column(name)
    for name in ("n", "Spread of a block", f"To find {effect}", f"To show {bound}"):
        grid.add_column(name, justify="right")
    for row in made.rows:
        grid.add_row(*map(Text, _cells(row)))
    console.print(grid)
    rows = f"0.05 / {len(made.rows)} rows" if len(made.rows) > 1 else "0.05"
    console.print(
        Text(
            f"Tests at {rows}, two-sided for a difference, two one-sided for equivalence. n: blocks that the"
            f" spread is from. [ ]: if the true spread is at the upper end of its"
            f" {100 * SPREAD_CONFIDENCE:g}% interval, since few blocks show it only roughly."
        ),
        soft_wrap=True,
    )
    enough = made.all_rows
    console.print(Text(f"Both, in every row: {_sweep(made, enough.by_spread, now)}", "bold"), soft_wrap=True)
    if enough.at_most != enough.by_spread:
        console.print(Text(f"To be on the safe side: {_sweep(made, enough.at_most, now)}"), soft_wrap=True)


def _cells(row: RowPlan) -> tuple[str, ...]:
    return (
        row.scenario,
        f"{row.candidate} against {row.baseline}",
        str(row.blocks),
        f"{row.spread_percent:.2g}% [{row.spread_at_most_percent:.2g}%]",
        _blocks(row.detect),
        _blocks(row.equivalence),
    )


def _blocks(of: Blocks) -> str:
    return f"{_count(of.by_spread)} [{_count(of.at_most)}]"


def _count(blocks: int | None) -> str:
    return f">{MOST_BLOCKS}" if blocks is None else str(blocks)


def _sweep(made: StudyPlan, blocks: int | None, now: datetime) -> str:
    """``blocks=12, about 3.4 h with all arms, until about 21:40 if it starts now``."""
    if blocks is None:
        return f"more than {MOST_BLOCKS} blocks. Longer trials (load.requests) may scatter less."
    takes = made.hours(blocks)
    if takes is None:
        return f"blocks={blocks}"
    end = now + timedelta(hours=takes)
    when = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"blocks={blocks}, about {hours(takes)} with all arms, until {when} if it starts now"
