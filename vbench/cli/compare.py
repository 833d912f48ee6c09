"""``vbench compare``: compares the arms of a sweep, or of an MLflow experiment.

Exit status: 0 compared; 2 bad input, trials that are not comparable, or too few blocks for
``--fail-on-regression``; 3 compared and written, but MLflow could not be read or written; 4 a candidate is
slower than its baseline by more than ``--fail-on-regression`` or ``--require-non-inferior`` allows; 5
non-inferiority was not shown (``--require-non-inferior``); 6 a record was changed or is missing.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.analysis import render_again, show, write
from vbench.analysis.arms import Settings, parse_settings, settings_text
from vbench.analysis.comparison import compare
from vbench.analysis.results import Comparison
from vbench.analysis.trials import TrialSet, read_experiment, read_sweep
from vbench.cli.compare_options import GATES, bound, checked, parser
from vbench.cli.gates import judge, status
from vbench.errors import ConfigError, VbenchError
from vbench.record.files import RecordError
from vbench.run.progress import Display

NAME_CHARACTERS = 100
"""Longest name of an arm in a folder's name, which file systems limit to 255 bytes."""


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
    across = checked(options)
    display = Display()
    if options.render:
        return _render(options, display)
    name = _baseline_name(options)
    given = [] if name else [item for items in options.baseline for item in items]
    baseline = parse_settings(given, "--baseline")
    candidate = parse_settings([item for items in options.candidate for item in items], "--candidate")
    if name is not None:
        return _against_baseline(options, name, across, display)
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
        _print(options, comparison, files, display)
        if options.log:
            _log(options.folder, options.outputs, trial_set, files, comparison)
    return status(comparison, options.fail_on_regression, options.require_non_inferior)


def _print(options: argparse.Namespace, comparison: Comparison, files: list[Path], display: Display) -> None:
    """The comparison as ``--format`` says, and nothing beside it unless that is ``terminal``."""
    if options.format == "terminal":
        show(display.console, comparison)
        display.say(f"written    {files[0]} and {len(files) - 1} other files")
    elif options.format == "github":
        from vbench.analysis.report.pull_request import comment

        judged = judge(comparison, options.fail_on_regression, options.require_non_inferior)
        print(comment(comparison, judged.lines), end="")
    else:
        print(files[0 if options.format == "markdown" else 1].read_text(), end="")


def _baseline_name(options: argparse.Namespace) -> str | None:
    """The name of a saved sweep, if ``--baseline`` gives one and no ``KEY=VALUE``."""
    items = [item for items in options.baseline for item in items]
    if not items or any("=" in item for item in items):
        return None
    if len(items) > 1:
        raise ConfigError(f"--baseline {' '.join(items)}: give one name, or KEY=VALUE such as runtime=oss")
    for option, value in (("--candidate", options.candidate), ("--experiment", options.experiment)):
        if value:
            raise ConfigError(f"{option} does not go with --baseline {items[0]}, a saved sweep: leave it out")
    if options.log:
        raise ConfigError(f"--log does not go with --baseline {items[0]}, a saved sweep: leave it out")
    if options.folder is None:
        raise ConfigError(f"--baseline {items[0]} needs the folder of a sweep to compare with it")
    return str(items[0])


def _against_baseline(options: argparse.Namespace, name: str, across: list[str], display: Display) -> int:
    """Compare a sweep with the one that was saved last under this name."""
    from vbench.analysis.against_baseline import compare_with_baseline
    from vbench.record.baselines import history

    try:
        entry = history(options.outputs or Path("outputs"), name)[-1]
    except ConfigError as error:
        raise ConfigError(f"--baseline {name} is not KEY=VALUE, such as runtime=oss, and {error}") from error
    comparison = compare_with_baseline(
        read_sweep(entry.folder),
        read_sweep(options.folder),
        name,
        entry.saved.saved,
        across,
        options.half_width,
        options.equivalence,
    )
    files = write(comparison, options.out or options.folder / f"compare-{name}")
    _print(options, comparison, files, display)
    return status(comparison, options.fail_on_regression, options.require_non_inferior)


def _refuse_gates(options: argparse.Namespace) -> None:
    """ConfigError for a gate on a fractional design, which compares no two arms."""
    for option in GATES:
        if bound(options, option) is not None:
            raise ConfigError(
                f"{option} judges a candidate against a baseline, and design=fractional has none: leave it"
                f" out, or run a sweep of the two arms"
            )


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
