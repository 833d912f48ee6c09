"""Runs the trials of a command line, one after the other, and collects their records and failures."""

import contextlib
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from vbench.config.quoting import resume_command, shell_quoted
from vbench.config.schema import Config
from vbench.errors import ConfigError, InputError, TrackingError, TrialError, VbenchError
from vbench.record.files import TRIAL
from vbench.record.trial import Trial
from vbench.run import auto_blocks, expected_end, finalize, resume
from vbench.run.arm_names import arm_keys, arm_settings, single_keys
from vbench.run.compose import Arm, Composition
from vbench.run.discovered_nodes import check_unchanged
from vbench.run.hydra_app import run_in_folder
from vbench.run.progress import Display, time_left
from vbench.run.sweep import Planned, Sweep, describe
from vbench.run.trial import CRASH, run_trial
from vbench.run.trial_report import show_locations, show_trial
from vbench.telemetry import environment
from vbench.telemetry.environment import MEASURED


@dataclass(slots=True)
class Session:
    """What the trials of one call share."""

    display: Display
    arm_keys: tuple[str, ...]
    """Keys that make an arm's name."""
    command: Sequence[str] = ()
    """The arguments of the command line."""
    trials: dict[str, Trial] = field(default_factory=dict)
    """Folder's name -> record."""
    failures: list[VbenchError] = field(default_factory=list)


def run_single(composition: Composition, command: Sequence[str]) -> int:
    """Run the one trial of a command line; the exit status."""
    (arm,) = composition.arms
    keys = arm_keys((*single_keys(arm.config), *composition.given), arm.config)
    session = Session(display=Display(), arm_keys=keys, command=command)
    run_in_folder(composition, arm, lambda folder: run_trial_and_report(session, arm.config, folder))
    return exit_status(session)


def run_sweep(folder: Path, plan: Sweep, composition: Composition, done: Mapping[str, Trial]) -> int:
    """Run all trials of a sweep that are not ``done``, with blocks=auto block after block until all is
    decided, and compare its arms; the exit status."""
    first = composition.configs[0]
    session = Session(display=Display(), arm_keys=arm_keys(plan.swept, first), trials=dict(done))
    todo = [planned for planned in plan.trials if planned.folder not in done]
    for line in describe(folder, plan, len(todo)):
        session.display.say(line)
    arms = {tuple(arm.overrides): arm.config for arm in composition.arms}
    configs = [arms[key] for planned in todo if (key := tuple(planned.overrides[:-1])) in arms]
    further = (plan.most_blocks - plan.blocks) * len(composition.arms)
    now = datetime.now().astimezone()
    for line in expected_end.lines(folder, configs, plan.most_blocks, now, further):
        session.display.say(line)
    record_failure(session, finalize.log_missing(session.display, folder, first, done))
    code = environment.code()
    # What the trials before took stands for what the next take.
    took_s = [sum(trial.phases_s.values()) for trial in done.values()]
    try:
        while True:
            for number, planned in enumerate(todo):
                _check_code(code, folder, todo[:number])
                session.display.say(
                    f"\ntrial {plan.trials.index(planned) + 1} of {len(plan.trials)}"
                    f" ({_block(planned, plan)}): {planned.arm}{time_left(took_s, len(todo) - number)}"
                )
                began_s = time.monotonic()
                run_planned(session, composition, planned, folder)
                took_s.append(time.monotonic() - began_s)
            longer = auto_blocks.next_blocks(session.display, folder, plan, composition)
            if longer is None:
                break
            plan, todo = longer, longer.trials[len(plan.trials) :]
    except KeyboardInterrupt:
        session.display.say(f"The sweep has stopped. Resume it with: {resume_command(folder)}")
        raise
    finalize.show(session.display, plan, session.trials)
    record_failure(session, finalize.compare(session.display, folder, plan, first, session.trials))
    return exit_status(session, len(plan.trials))


def _block(planned: Planned, plan: Sweep) -> str:
    """``block 2 of 5``, or ``block 2 of 3 before the next look``."""
    is_open = plan.looks.following(plan.blocks) is not None
    return f"block {planned.block + 1} of {plan.blocks}{' before the next look' if is_open else ''}"


def record_failure(session: Session, failure: VbenchError | None) -> None:
    """Keep a failure for the exit status; it has been reported."""
    if failure is not None:
        session.failures.append(failure)


def _check_code(code: str, folder: Path, ran: Sequence[Planned]) -> None:
    """VbenchError, which stops the sweep, if a file has changed since it began."""
    if environment.code() == code:
        return
    last = f" (trial {ran[-1].folder} may have mixed old and new code)" if ran else ""
    raise VbenchError(
        f"the sweep has stopped: {', '.join(MEASURED)} have changed since it began, and trials of different"
        f" code cannot be compared{last}. The records are kept. Restore the files and resume with"
        f" {resume_command(folder)}, or start a new sweep."
    )


def run_planned(session: Session, composition: Composition, planned: Planned, sweep_folder: Path) -> None:
    """Run one trial of a sweep; if it fails, the failure is kept and the other trials still run."""
    folder = sweep_folder / planned.folder
    try:
        arm = _arm_of(composition, planned)
        check_unchanged(arm)
        config = replace(arm.config, block=planned.block)
        resume.archive_attempt(sweep_folder, planned)
        run_in_folder(
            composition,
            arm,
            lambda where: run_trial_and_report(session, config, where),
            block=planned.block,
            folder=folder,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the other trials can be run
        # If not even this can be written, it is said below.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CRASH).write_text(traceback.format_exc())
        reason = str(error) if isinstance(error, VbenchError) else f"{type(error).__name__}: {error}"
        failure = TrialError(f"trial {planned.folder}: {reason.rstrip('.')}; see {folder / CRASH}")
        session.failures.append(failure)
        session.display.say(f"vbench: {failure}", style="red")


def _arm_of(composition: Composition, planned: Planned) -> Arm:
    overrides = planned.overrides[:-1]  # the last one is its block
    return next(arm for arm in composition.arms if arm.overrides == overrides)


def run_trial_and_report(session: Session, config: Config, folder: Path) -> None:
    """Run one trial into ``folder``, print its results and log them."""
    if (folder / TRIAL).exists():
        raise ConfigError(f"{folder} already holds a trial; give another hydra.run.dir, or none.")
    settings = arm_settings(config, session.arm_keys)
    trial, error = run_trial(config, folder, settings, session.display, command=session.command)
    session.trials[folder.name] = trial
    if isinstance(error, InputError) or not (folder / TRIAL).exists():
        assert error is not None, "a record that is not there has a reason"
        session.failures.append(error)
        session.display.say(f"vbench: {error}", style="red")
        return
    show_trial(session.display.console, trial)
    page = _log_trial(config, folder, session) if config.tracking.name != "off" else None
    show_locations(session.display.console, folder, Path(config.outputs), page)


def _log_trial(config: Config, folder: Path, session: Session) -> str | None:
    """Log the trial to MLflow; the address of its page there. A failure is reported and kept."""
    from vbench.tracking.mlflow import Tracker

    session.display.say("logging to MLflow")
    try:
        tracker = Tracker(Path(config.outputs), config.tracking.experiment)
        tracker.log(folder)
    except TrackingError as error:
        session.failures.append(error)
        session.display.say(
            f"vbench: {error}. The record is safe. Log it later with: vbench log {shell_quoted(str(folder))}",
            style="red",
        )
        return None
    return tracker.runs_page


def exit_status(session: Session, planned: int = 1) -> int:
    """0 if all trials are there, valid and logged; else the gravest of what went wrong."""
    statuses = [failure.exit_status for failure in session.failures]
    if len(session.trials) < planned or any(not trial.valid for trial in session.trials.values()):
        statuses.append(TrialError.exit_status)
    gravest = (ConfigError.exit_status, TrialError.exit_status, TrackingError.exit_status)
    return next((status for status in gravest if status in statuses), 0)
