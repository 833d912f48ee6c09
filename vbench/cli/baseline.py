"""``vbench baseline save|list|compare|history``: keeps sweeps under a name, to compare later ones with them.

The trials' records are copied into ``OUTPUTS/baselines/NAME``. The sweep that was saved last is the baseline
of that name. The others are its history, which ``history`` writes as CSV, a line per sweep.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from rich.table import Table as Grid
from rich.text import Text

from vbench.analysis.blocks import LATENCY, counts
from vbench.analysis.statistics import mean
from vbench.analysis.trials import TrialSet, read_sweep
from vbench.cli import compare
from vbench.config.path_option import path_option
from vbench.errors import ConfigError, VbenchError
from vbench.record import baselines
from vbench.record.baselines import Entry
from vbench.record.files import BASELINES, RecordError
from vbench.run.progress import Display

HISTORY = (LATENCY, "latency_p50_s", "latency_p90_s", "throughput_requests_per_s", "goodput_requests_per_s")
"""Metrics in a history, for each arm whose trials have them: mean over the sweep's valid trials."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="vbench baseline", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="save|list|compare|history")
    save = commands.add_parser("save", allow_abbrev=False, help="keep a sweep's records under a name")
    save.add_argument("name", metavar="NAME", help="such as main")
    save.add_argument("folder", metavar="SWEEP_FOLDER", type=path_option)
    commands.add_parser("list", allow_abbrev=False, help="list what has been saved")
    held = commands.add_parser(
        "compare", allow_abbrev=False, help="compare a sweep with the one that was saved last"
    )
    held.add_argument("name", metavar="NAME")
    held.add_argument("folder", metavar="SWEEP_FOLDER", type=path_option)
    history = commands.add_parser("history", allow_abbrev=False, help="print all sweeps of a name as CSV")
    history.add_argument("name", metavar="NAME")
    for each in commands.choices.values():
        each.add_argument(
            "--outputs",
            type=path_option,
            default=Path("outputs"),
            metavar="DIR",
            help="folder with the baselines (default: %(default)s)",
        )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; exit status 2 for bad input, and that of ``vbench compare`` for
    ``compare``, whose other options it takes, too."""
    options, others = parser().parse_known_args(arguments)
    try:
        if options.command == "compare":
            named = ["--baseline", options.name, "--outputs", str(options.outputs)]
            return compare.main([str(options.folder), *named, *others])
        if others:
            raise ConfigError(f"vbench baseline {options.command} does not know {others[0]}: leave it out")
        _run(options)
    except (VbenchError, RecordError) as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, VbenchError) else ConfigError.exit_status
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.command == "save":
        _save(options.outputs, options.name, options.folder)
    elif options.command == "list":
        _list(options.outputs)
    else:
        write_history(baselines.history(options.outputs, options.name), sys.stdout)


def _save(outputs: Path, name: str, folder: Path) -> None:
    trial_set = read_sweep(folder)
    if not any(counts(measured.trial) for measured in trial_set.trials):
        raise ConfigError(f"no trial in {folder} is valid, so it cannot be a baseline: save another sweep")
    entry = baselines.save(outputs, name, folder)
    Display().say(f"saved      {entry.folder}")


def _list(outputs: Path) -> None:
    known = list(baselines.entries(outputs))
    if not known:
        raise ConfigError(
            f"nothing has been saved in {outputs / BASELINES}: save a sweep with vbench baseline save main"
            f" SWEEP_FOLDER"
        )
    grid = Grid()
    for column in ("Name", "Saved", "Sweep", "Arms", "Trials"):
        grid.add_column(column)
    for entry in known:
        trials = [measured.trial for measured in read_sweep(entry.folder).trials]
        arms = len({trial.arm for trial in trials})
        texts = (entry.name, entry.saved.saved[:16].replace("T", " "), entry.folder.name, str(arms))
        grid.add_row(*map(Text, (*texts, str(len(trials)))))
    Display().console.print(grid)


def write_history(entries: Sequence[Entry], out: TextIO) -> None:
    """The sweeps of a baseline as CSV, the oldest first: time, commit, code, and metrics by arm."""
    rows = [_facts(read_sweep(entry.folder)) for entry in entries]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _facts(trial_set: TrialSet) -> dict[str, str]:
    first = trial_set.trials[0].trial
    return {
        "time": first.started,
        "commit": str(first.environment.get("git_revision") or ""),
        "code": str(first.environment.get("code") or ""),
        **dict(_metrics(trial_set)),
    }


def _metrics(trial_set: TrialSet) -> Iterator[tuple[str, str]]:
    arms = dict.fromkeys(measured.trial.arm for measured in trial_set.trials)
    for arm in sorted(arms):
        valid = [
            measured.trial.metrics
            for measured in trial_set.trials
            if measured.trial.arm == arm and counts(measured.trial)
        ]
        for metric in HISTORY:
            values = [metrics[metric] for metrics in valid if metric in metrics]
            if values and len(values) == len(valid):
                yield f"{arm} {metric}", f"{mean(values).value:.6g}"
