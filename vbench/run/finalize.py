"""The end of a sweep: prints its trials, compares its arms, and logs both to MLflow."""

import contextlib
import shlex
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vbench.config.schema import Config
from vbench.errors import TrackingError, VbenchError
from vbench.record.files import RecordError
from vbench.record.trial import Trial
from vbench.run.progress import Display
from vbench.run.sweep import Sweep
from vbench.run.trial import CRASH
from vbench.run.trial_report import show_sweep


def show(display: Display, begun: Sweep, trials: Mapping[str, Trial]) -> None:
    """Print all trials in a table, in running order, with their blocks if there are several."""
    in_order = [
        replace(trial, arm=f"{trial.block + 1}: {trial.arm}") if begun.blocks > 1 else trial
        for planned in begun.trials
        if (trial := trials.get(planned.folder)) is not None
    ]
    show_sweep(display.console, in_order)


def compare(
    display: Display, folder: Path, begun: Sweep, config: Config, trials: Mapping[str, Trial]
) -> VbenchError | None:
    """Compare the arms, if there are several; the failure, if there is one, which has been reported with its
    remedy. The records are safe in any case."""
    if len({planned.arm for planned in begun.trials}) == 1:
        return None
    crash = folder / CRASH
    try:
        crash.unlink(missing_ok=True)
        # Statistics and plots are no part of measuring: what they import costs a second.
        from vbench import analysis

        comparison = analysis.compare_sweep(folder)
        if comparison is None:
            display.say(f"compare two arms with: {how_to_compare(folder, trials)}")
            return None
        analysis.show(display.console, comparison)
        files = analysis.write(comparison, folder)
        display.say(f"comparison {files[0]}")
        if config.tracking.name != "off":
            from vbench.tracking.mlflow import Tracker

            tracker = Tracker(Path(config.outputs), config.tracking.experiment)
            tracker.log_comparison(folder, files, comparison.metrics)
    except TrackingError as error:
        display.say(
            f"vbench: {error}. The comparison is written. Log it later with: vbench compare"
            f" {shlex.quote(str(folder))} --log",
            style="red",
        )
        return error
    except Exception as error:  # noqa: BLE001 - a sweep of hours is not lost for a table or a plot
        with contextlib.suppress(OSError):
            crash.write_text(traceback.format_exc())
        plain = isinstance(error, VbenchError | RecordError)
        reason = str(error) if plain else f"{type(error).__name__}: {error}"
        failure = VbenchError(f"the comparison failed: {reason.rstrip('.')}")
        display.say(
            f"vbench: {failure}; see {crash}. The records are safe. Compare them with: vbench"
            f" compare {shlex.quote(str(folder))}",
            style="red",
        )
        return failure
    return None


def how_to_compare(folder: Path, trials: Mapping[str, Trial]) -> str:
    """The command that compares the first two values of a swept key."""
    values: dict[str, list[str]] = {}
    for trial in trials.values():
        for key, value in trial.swept.items():
            if value not in values.setdefault(key, []):
                values[key].append(value)
    pairs = ([f"{key}={value}" for value in used] for key, used in values.items() if len(used) > 1)
    baseline, candidate, *_ = next(pairs, ["KEY=VALUE", "KEY=VALUE"])
    given = ["--baseline", baseline, "--candidate", candidate]
    return shlex.join(["vbench", "compare", str(folder), *given])


def log_missing(
    display: Display, folder: Path, config: Config, done: Mapping[str, Trial]
) -> TrackingError | None:
    """Log the earlier trials (``done``) that MLflow is missing; the failure, which has been reported with its
    remedy."""
    if config.tracking.name == "off" or not done:
        return None
    from vbench.tracking.mlflow import Tracker

    try:
        tracker = Tracker(Path(config.outputs), config.tracking.experiment)
        new = [name for name in done if tracker.log(folder / name)]
    except (TrackingError, RecordError) as error:
        display.say(
            f"vbench: {error}. The records are safe. Log them later with: vbench log"
            f" {shlex.quote(str(folder))}",
            style="red",
        )
        return error if isinstance(error, TrackingError) else TrackingError(str(error))
    if new:
        display.say(f"logged {len(new)} of {len(done)} earlier trials that MLflow was missing")
    return None
