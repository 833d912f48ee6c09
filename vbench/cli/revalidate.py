"""``vbench revalidate FOLDER ...``: judges records again by the rules of this version.

The record keeps the verdict of the code that made it. If a ledger lists the trial, the new verdict is
appended to the ledger. Use it to check a verdict, or to see how stricter rules judge earlier trials.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vbench.config.path_option import path_option
from vbench.record import ledger
from vbench.record.files import (
    RecordError,
    read_trial,
    trial_folders,
)
from vbench.record.trial import Rule, Trial, result_caveats
from vbench.telemetry import environment
from vbench.validity import rule_bounds
from vbench.validity.revalidation import judged


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each trial's earlier and new verdict; exit status 0 if they agree, 1 if one differs, 2 if a
    record cannot be read."""
    parser = argparse.ArgumentParser(prog="vbench revalidate", description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=path_option, help="the folder of a trial or a sweep, or one above"
    )
    parser.add_argument("--all", action="store_true", help="also print the rules that hold")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    same = True
    try:
        for folder in options.folders:
            trials = trial_folders(folder)
            if not trials:
                raise RecordError(
                    f"there is no trial in {folder} or below it: give a folder such as outputs/runs/TIME"
                )
            for trial_folder in trials:
                same &= _show(console, trial_folder, show_all=options.all)
    except RecordError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"vbench: {error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    return 0 if same else 1


def _show(console: Console, folder: Path, *, show_all: bool) -> bool:
    """Print one trial's lines; whether both verdicts agree."""
    trial = read_trial(folder)
    rules = judged(folder, trial)
    valid = all(rule.passed for rule in rules)
    now, then = ("valid" if verdict else "INVALID" for verdict in (valid, trial.valid))
    text = f"{folder}  block {trial.block + 1}  {trial.arm}  recorded: {then}  now: {now}"
    if loosened := rule_bounds.loosened(trial.config):
        text += f"  loosened: {', '.join(loosened)}"
    console.print(Text(text, style="" if valid == trial.valid else "bold red"))
    for caveat in result_caveats([trial]):
        console.print(Text(f"  {caveat}", style="yellow"))
    for rule in rules:
        if show_all or not rule.passed:
            console.print(Text(f"  {'passed' if rule.passed else 'broken'}  {rule.line}"))
    _append(folder, trial, rules)
    return valid == trial.valid


def _append(folder: Path, trial: Trial, rules: Sequence[Rule]) -> None:
    """Append the new verdict to the ledger that has the trial, if there is one that can be written to."""
    book = ledger.find(folder, trial.outputs_folder)
    if book is None or trial.trial_id not in book.begun:
        return
    facts = {
        "trial_id": trial.trial_id,
        "at": environment.now(),
        "valid": all(rule.passed for rule in rules),
        "broken": [rule.name for rule in rules if not rule.passed],
        "code": environment.code(),
    }
    try:
        ledger.append(book.path.parent, ledger.JUDGED, facts)
    except OSError as error:
        print(f"vbench: the verdict could not be appended to {book.path}: {error.strerror}", file=sys.stderr)
