"""``python -m vbench.judge FOLDER ...``: judges records again, from their files, by this version's rules.

Nothing is written: a record keeps the verdict of the code that made it. For whoever wants to check a verdict,
or to know what stricter rules would have said of earlier trials.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vbench import rules
from vbench.record import Rule, Trial
from vbench.schema import from_plain
from vbench.tracking import trial_folders
from vbench.trial_folder import (
    RecordError,
    read_machines,
    read_requests,
    read_samples,
    read_spans,
    read_trial,
)


def judged(folder: Path, trial: Trial) -> list[Rule]:
    """All rules of this version over a record's files; RecordError where its configuration is of another."""
    try:
        config = from_plain(trial.config)
    except Exception as error:
        raise RecordError(f"{folder} was configured by another version: {error}") from error
    return rules.judge(
        config,
        trial.observed if trial.status == "finished" else None,
        read_requests(folder),
        read_samples(folder),
        read_machines(folder),
        read_spans(folder),
        trial.network,
        trial.clip,
        harness=trial.harness,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each trial's verdicts, then and now; 0 where they agree, 1 where one differs, 2 for no record."""
    parser = argparse.ArgumentParser(prog="python -m vbench.judge", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="a trial's or a sweep's folder, or one above")
    parser.add_argument("--all", action="store_true", help="print the rules that hold too")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    same = True
    try:
        for folder in options.folders:
            trials = trial_folders(folder)
            if not trials:
                raise RecordError(f"{folder} holds no trial, nor does any folder below it")
            for each in trials:
                same &= _show(console, each, show_all=options.all)
    except RecordError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return 2
    return 0 if same else 1


def _show(console: Console, folder: Path, *, show_all: bool) -> bool:
    """One trial's lines; whether both verdicts agree."""
    trial = read_trial(folder)
    found = judged(folder, trial)
    valid = all(rule.holds for rule in found)
    now, then = ("valid" if each else "NOT VALID" for each in (valid, trial.valid))
    text = f"{folder}  block {trial.block + 1}  {trial.arm}  recorded: {then}  now: {now}"
    console.print(Text(text, style="" if valid == trial.valid else "bold red"))
    for rule in found:
        if show_all or not rule.holds:
            console.print(Text(f"  {'holds ' if rule.holds else 'broken'}  {rule.line}"))
    return valid == trial.valid


if __name__ == "__main__":
    sys.exit(main())
