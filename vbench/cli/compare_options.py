"""The options of ``vbench compare``, and the ranges of their values."""

import argparse
import math
from typing import NoReturn

from vbench.analysis.comparability import ASPECTS
from vbench.analysis.statistics import WANTED_POINTS
from vbench.config.path_option import path_option
from vbench.errors import ConfigError, nearest

GATES = ("--fail-on-regression", "--require-non-inferior")
"""Options that take a bound in percent."""


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
        help="folder with the MLflow database and the baselines (default: outputs)",
    )
    made.add_argument(
        "--baseline",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="the arm to compare with, such as runtime=oss; or a name that vbench baseline has saved",
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
        help="exit with status 4 if the whole interval of a candidate's latency increase lies above this",
    )
    made.add_argument(
        "--require-non-inferior",
        type=float,
        metavar="PERCENT",
        help="exit with status 5 unless every candidate's interval rules out a latency increase of more than"
        " this; with 4 if the whole interval lies above it",
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
        "--format",
        choices=("terminal", "markdown", "json", "github"),
        default="terminal",
        help="what is printed: tables, the page, comparison.json, or a comment for a pull request (default:"
        " %(default)s)",
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


def bound(options: argparse.Namespace, option: str) -> float | None:
    """The value of one of ``GATES``; None if it is not given."""
    value: float | None = getattr(options, option.removeprefix("--").replace("-", "_"))
    return value


def checked(options: argparse.Namespace) -> list[str]:
    """The aspects of ``--across``; ConfigError for a value that is out of its range."""
    across = [kind for kind in options.across.split(",") if kind]
    for kind in across:
        if kind not in ASPECTS:
            raise ConfigError(f"--across {kind} does not exist: {nearest(kind, ASPECTS)}")
    for option in GATES:
        value = bound(options, option)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{option} {value:g} must be a percentage of 0 or more")
    if not (math.isfinite(options.half_width) and options.half_width > 0):
        raise ConfigError(f"--half-width {options.half_width:g} must be more than 0 percentage points")
    if options.equivalence is not None and not 0 < options.equivalence < 100:
        raise ConfigError(f"--equivalence {options.equivalence:g} must be above 0 and below 100 percent")
    return across
