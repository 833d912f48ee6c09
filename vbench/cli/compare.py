"""``vbench compare``: compares the arms of a sweep, or of an MLflow experiment.

Exit status: 0 compared; 2 bad input, trials that are not comparable, or too few blocks for
``--fail-on-regression``; 3 compared and written, but MLflow could not be read or written; 4 a candidate is
slower than its baseline by more than ``--fail-on-regression`` or ``--require-non-inferior`` allows; 5
non-inferiority was not shown (``--require-non-inferior``); 6 a record was changed or is missing.
"""

import argparse
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from vbench.analysis import render_again, show, write
from vbench.analysis.arms import Settings, parse_settings, settings_text
from vbench.analysis.comparability import ASPECTS
from vbench.analysis.comparison import compare
from vbench.analysis.results import Comparison
from vbench.analysis.statistics import WANTED_POINTS
from vbench.analysis.trials import TrialSet, read_experiment, read_sweep
from vbench.cli.gates import status
from vbench.config.path_option import path_option
from vbench.errors import ConfigError, VbenchError, nearest
from vbench.record.files import RecordError
from vbench.run.progress import Display

GATES = ("--fail-on-regression", "--require-non-inferior")
"""Options that take a bound in percent."""

NAME_CHARACTERS = 100
"""Longest name of an arm in a folder's name, which file systems limit to 255 bytes."""


class _Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, like the rest of vbench."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = _Parser(
        prog="vbench compare",
        description="Compare two arms over the blocks of a sweep: tables, plots, and verdicts with confidence"
        " intervals. Without --baseline and --candidate, the candidate is runtime=anyscale (or 15"
        " runtime.connections, or the last label), compared with each other value of that key. For a sweep"
        " with design=oneway or fractional: the effect of each setting.",
        epilog="Exit status: 0 compared; 2 bad input, trials that are not comparable, or too few blocks for"
        " --fail-on-regression; 3 MLflow could not be read or written; 4 a candidate is slower than"
        " --fail-on-regression or --require-non-inferior allows; 5 non-inferiority was not shown"
        " (--require-non-inferior); 6 a record was changed or is missing.",
    )
    made.add_argument(
        "folder", nargs="?", type=path_option, help="a sweep's folder, such as outputs/sweeps/TIME"
    )
    made.add_argument(
        "--experiment", metavar="NAME", help="compare all trials of an MLflow experiment instead"
    )
    made.add_argument(
        "--outputs",
        type=path_option,
        metavar="DIR",
        help="folder with the MLflow database (default: outputs)",
    )
    made.add_argument(
        "--baseline",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="the arm to compare with, such as runtime=oss",
    )
    made.add_argument(
        "--candidate",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="the arm to evaluate, such as runtime=anyscale",
    )
    made.add_argument(
        "--across",
        default="",
        metavar="WHAT",
        help="compare trials although they differ in: machine, conditions, clip, code, responses"
        " (comma-separated)",
    )
    made.add_argument(
        "--fail-on-regression",
        type=float,
        metavar="PERCENT",
        help="exit with status 4 if a candidate's latency is higher by more than this, over its whole 95%%"
        " interval",
    )
    made.add_argument(
        "--require-non-inferior",
        type=float,
        metavar="PERCENT",
        help="exit with status 5 unless every candidate's 95%% interval excludes that its latency is"
        " higher by more than this; 4 if the whole interval is above it",
    )
    made.add_argument(
        "--half-width",
        type=float,
        default=WANTED_POINTS,
        metavar="POINTS",
        help="half-width that you want for the interval, in percentage points (default: %(default)g); for"
        " a wider interval, the number of blocks needed is printed",
    )
    made.add_argument(
        "--equivalence",
        type=float,
        metavar="PERCENT",
        help="difference below which two arms are called equivalent (default: analysis.equivalence_percent of"
        " the trials)",
    )
    made.add_argument(
        "--out",
        type=path_option,
        metavar="DIR",
        help="folder for comparison.md, comparison.json and the plots (default: the sweep's folder, or"
        " OUTPUTS/comparisons/NAME; if arms are named, compare-BASELINE-vs-CANDIDATE in it)",
    )
    made.add_argument("--log", action="store_true", help="also log these files to the sweep's run in MLflow")
    made.add_argument(
        "--render",
        action="store_true",
        help="write the page and the plots again from the comparison.json in the folder, without the trials",
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Compare what the command line names; the exit status."""
    try:
        return _run(parser().parse_args(arguments))
    except (VbenchError, RecordError) as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, VbenchError) else ConfigError.exit_status
    except OSError as error:
        if error.filename is None:
            raise
        print(f"vbench: {error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return ConfigError.exit_status


def _run(options: argparse.Namespace) -> int:
    across = [kind for kind in options.across.split(",") if kind]
    for kind in across:
        if kind not in ASPECTS:
            raise ConfigError(f"--across {kind} does not exist: {nearest(kind, ASPECTS)}")
    for option in GATES:
        bound = _bound(options, option)
        if bound is not None and not (math.isfinite(bound) and bound >= 0):
            raise ConfigError(f"{option} {bound:g} must be a percentage of 0 or more")
    if not (math.isfinite(options.half_width) and options.half_width > 0):
        raise ConfigError(f"--half-width {options.half_width:g} must be more than 0 percentage points")
    if options.equivalence is not None and not 0 < options.equivalence < 100:
        raise ConfigError(f"--equivalence {options.equivalence:g} must be above 0 and below 100 percent")
    baseline = parse_settings([item for items in options.baseline for item in items], "--baseline")
    candidate = parse_settings([item for items in options.candidate for item in items], "--candidate")
    display = Display()
    if options.render:
        return _render(options, display)
    with _trials(options) as (trial_set, default):
        out = options.out or default / _below(baseline, candidate)
        comparison = compare(
            trial_set, baseline or None, candidate or None, across, options.half_width, options.equivalence
        )
        if comparison is None:
            raise ConfigError(
                f"{trial_set.name} varies neither runtime nor runtime.connections nor label. Name two arms"
                f" with --baseline KEY=VALUE --candidate KEY=VALUE"
            )
        if comparison.screening is not None and not comparison.tables:
            _refuse_gates(options)
        files = write(comparison, out)
        show(display.console, comparison)
        display.say(f"written    {files[0]} and {len(files) - 1} other files")
        if options.log:
            _log(options.folder, options.outputs, trial_set, files, comparison)
    return status(comparison, options.fail_on_regression, options.require_non_inferior)


def _refuse_gates(options: argparse.Namespace) -> None:
    """ConfigError for a gate on a fractional design, which compares no two arms."""
    for option in GATES:
        if _bound(options, option) is not None:
            raise ConfigError(
                f"{option} judges a candidate against a baseline, and design=fractional has none: leave it"
                f" out, or run a sweep of the two arms"
            )


def _bound(options: argparse.Namespace, option: str) -> float | None:
    bound: float | None = getattr(options, option.removeprefix("--").replace("-", "_"))
    return bound


def _render(options: argparse.Namespace, display: Display) -> int:
    """Render the folder's comparison again; ConfigError without a folder."""
    if options.folder is None:
        raise ConfigError("--render needs the folder of a comparison.json: vbench compare FOLDER --render")
    files = render_again(options.folder)
    display.say(f"written    {files[0]} and {len(files) - 1} plots")
    return 0


@contextmanager
def _trials(options: argparse.Namespace) -> Iterator[tuple[TrialSet, Path]]:
    """The trials, and the default folder for results."""
    if (options.folder is None) == (options.experiment is None):
        raise ConfigError("name either a sweep's folder or --experiment NAME")
    if options.experiment is None:
        if options.outputs is not None and not options.log:
            raise ConfigError("--outputs goes with --experiment or --log: add one of them, or leave it out")
        yield read_sweep(options.folder), options.folder
        return
    if options.log:
        raise ConfigError(
            "--log goes with a sweep's folder, because an experiment has no run of its own: leave it out"
        )
    outputs = options.outputs or Path("outputs")
    with read_experiment(outputs, options.experiment) as trial_set:
        yield trial_set, outputs / "comparisons" / _safe(options.experiment)


def _below(baseline: Settings, candidate: Settings) -> str:
    """Folder of a comparison of named arms, which must not replace the default comparison."""
    if not baseline and not candidate:
        return "."
    names = [
        _safe(settings_text(settings) or "others")[:NAME_CHARACTERS] for settings in (baseline, candidate)
    ]
    return f"compare-{names[0]}-vs-{names[1]}"


def _safe(name: str) -> str:
    """A name that is allowed for a file."""
    return re.sub(r"[^\w.=-]", "_", name)


def _log(
    folder: Path, outputs: Path | None, trial_set: TrialSet, files: list[Path], comparison: Comparison
) -> None:
    from vbench.tracking.mlflow import Tracker

    config = trial_set.trials[0].trial.config
    tracker = Tracker(outputs or Path(config["outputs"]), config["tracking"]["experiment"])
    tracker.log_comparison(folder, files, comparison.metrics)
