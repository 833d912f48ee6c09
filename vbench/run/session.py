"""One call of ``python -m vbench``: checks all of it first, runs its trials, collects how they went."""

import contextlib
import os
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vbench.config.path_option import LOOP, leads_to_itself
from vbench.config.quoting import resume_command, shell_quoted
from vbench.config.schema import Config
from vbench.errors import ConfigError, InputError, TrackingError, TrialError, VbenchError
from vbench.load.disk_room import check_room
from vbench.record.files import TRIAL
from vbench.record.types import Trial
from vbench.run import compose, finalize, hydra_app, resume, sweep
from vbench.run.compose import Asked
from vbench.run.overrides import check_utf8, written_out
from vbench.run.preflight import check_machine, check_outputs
from vbench.run.progress import Display, time_left
from vbench.run.sweep import Planned, Sweep
from vbench.run.trial import CRASH, run_trial
from vbench.run.trial_report import show_trial, show_where
from vbench.telemetry import environment
from vbench.telemetry.environment import MEASURED

RESUME = "resume="


@dataclass(slots=True)
class Session:
    """What the trials of one call share."""

    display: Display
    shown: tuple[str, ...]
    """Keys that make an arm's name."""
    trials: dict[str, Trial] = field(default_factory=dict)
    """Folder's name -> record."""
    failures: list[VbenchError] = field(default_factory=list)


def run(arguments: Sequence[str]) -> int:
    """Check everything, then run it; the exit status. Raises VbenchError for what cannot be run at all."""
    check_utf8(arguments)
    if any(argument.startswith(RESUME) for argument in arguments):
        return _resume(arguments)
    asked, options = _asked(arguments)
    if hydra_app.only_shows(options):
        if len(asked.lines) > 1:
            shown = f"vbench: the first of {len(asked.lines)} arms: {shlex.join(asked.lines[0])}"
            print(shown, file=sys.stderr, flush=True)
        hydra_app.show(options, [*asked.lines[0], *asked.hydras])
        return 0
    check_machine(asked.arms)
    _check_outputs(asked.arms)
    if not asked.multirun:
        return _single(asked)
    folder = Path(asked.sweep_dir)
    begun = sweep.begin(folder, asked, arguments)
    with sweep.alone(folder):
        return _sweep(folder, begun, asked, {})


def _asked(arguments: Sequence[str]) -> tuple[Asked, list[str]]:
    options, overrides = hydra_app.split(arguments)
    return compose.ask(overrides, multirun=bool(set(hydra_app.MULTIRUN) & set(options))), options


def _check_outputs(arms: Sequence[Config]) -> None:
    first = arms[0]
    experiments = dict.fromkeys(arm.tracking.experiment for arm in arms if arm.tracking.name != "off")
    check_outputs(Path(first.outputs), tracked=bool(experiments), experiments=experiments)
    check_room([*arms] * first.blocks)


def _single(asked: Asked) -> int:
    session = Session(display=Display(), shown=sweep.shown(("mode", "runtime", *asked.given)))
    hydra_app.run([*asked.lines[0], *asked.hydras], lambda config, folder: _one(session, config, folder))
    return _status(session)


def _resume(arguments: Sequence[str]) -> int:
    """Run what a sweep's folder lacks: trials without a record, and those that did not come to their end."""
    if len(arguments) > 1:
        raise ConfigError(
            f"'{' '.join(arguments)}': {RESUME}FOLDER stands alone; all the rest is in the sweep's folder."
        )
    named = written_out("resume", arguments[0].removeprefix(RESUME))
    if leads_to_itself(named):
        raise ConfigError(f"resume={named}: {LOOP}.")
    folder = named.resolve()
    begun = sweep.read(folder)
    with sweep.alone(folder), _working_in(begun.cwd):
        try:
            asked, _ = _asked(begun.arguments)
        except ConfigError as error:
            raise ConfigError(
                f"resume={folder}: its command cannot be composed any more: {error} Start a new sweep."
            ) from error
        done = resume.finished(folder, begun)
        resume.check_same(folder, begun, asked, done)
        if len(done) < len(begun.trials):
            check_machine(asked.arms)
        _check_outputs(asked.arms)
        return _sweep(folder, begun, asked, done)


@contextlib.contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """Relative paths of the command mean what they meant when it was given."""
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigError(f"the sweep was started in {folder}, which cannot be entered any more.") from error
    try:
        yield
    finally:
        os.chdir(before)


def _sweep(folder: Path, begun: Sweep, asked: Asked, done: Mapping[str, Trial]) -> int:
    session = Session(display=Display(), shown=sweep.shown(begun.swept), trials=dict(done))
    todo = [planned for planned in begun.trials if planned.folder not in done]
    for line in sweep.in_words(folder, begun, len(todo)):
        session.display.say(line)
    _keep(session, finalize.log_missing(session.display, folder, asked.arms[0], done))
    code = environment.code()
    # What the trials before took stands for what the next take.
    took_s = [sum(trial.phases_s.values()) for trial in done.values()]
    try:
        for number, planned in enumerate(todo):
            _check_code(code, folder, todo[:number])
            session.display.say(
                f"\ntrial {begun.trials.index(planned) + 1} of {len(begun.trials)}"
                f" (block {planned.block + 1} of {begun.blocks}): {planned.arm}"
                f"{time_left(took_s, len(todo) - number)}"
            )
            began_s = time.monotonic()
            _planned(session, asked, planned, folder)
            took_s.append(time.monotonic() - began_s)
    except KeyboardInterrupt:
        session.display.say(f"the sweep is stopped; go on with: {resume_command(folder)}")
        raise
    finalize.show(session.display, begun, session.trials)
    _keep(session, finalize.compare(session.display, folder, begun, asked.arms[0], session.trials))
    return _status(session, len(begun.trials))


def _keep(session: Session, failure: VbenchError | None) -> None:
    """For the exit status; it has been said."""
    if failure is not None:
        session.failures.append(failure)


def _check_code(code: str, folder: Path, ran: Sequence[Planned]) -> None:
    """VbenchError, which stops the sweep, where a file has changed since: no more could be compared."""
    if environment.code() == code:
        return
    last = f" (trial {ran[-1].folder}, the last that ran, may have run some of both)" if ran else ""
    raise VbenchError(
        f"the sweep is stopped: {', '.join(MEASURED)} are not what they were when it began, and trials of"
        f" different code cannot be compared{last}; the records are kept: bring the files back and go on with"
        f" {resume_command(folder)}, or start a new sweep."
    )


def _planned(session: Session, asked: Asked, planned: Planned, sweeps: Path) -> None:
    """Run one trial of a sweep; whatever goes wrong with it is kept, and does not stop the others."""
    folder = sweeps / planned.folder
    try:
        resume.set_aside(sweeps, planned)
        hydra_app.run(
            [*planned.overrides, *asked.hydras], lambda config, where: _one(session, config, where), folder
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the other trials can be run
        # Where not even this can be written, it is said below.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CRASH).write_text(traceback.format_exc())
        reason = str(error) if isinstance(error, VbenchError) else f"{type(error).__name__}: {error}"
        failure = TrialError(f"trial {planned.folder}: {reason.rstrip('.')}; see {folder / CRASH}")
        session.failures.append(failure)
        session.display.say(f"vbench: {failure}", style="red")


def _one(session: Session, config: Config, folder: Path) -> None:
    if (folder / TRIAL).exists():
        raise ConfigError(f"{folder} holds a trial already; give another hydra.run.dir, or none.")
    trial, error = run_trial(config, folder, sweep.arm_of(config, session.shown), session.display)
    session.trials[folder.name] = trial
    if isinstance(error, InputError) or not (folder / TRIAL).exists():
        assert error is not None, "a record that is not there has a reason"
        session.failures.append(error)
        session.display.say(f"vbench: {error}", style="red")
        return
    show_trial(session.display.console, trial)
    page = _track(config, folder, session) if config.tracking.name != "off" else None
    show_where(session.display.console, folder, Path(config.outputs), page)


def _track(config: Config, folder: Path, session: Session) -> str | None:
    """Log the trial; the UI's page of it. A failure is kept for the exit status, and said with a remedy."""
    from vbench.tracking.mlflow import Tracker

    session.display.say("logging to MLflow")
    try:
        tracker = Tracker(Path(config.outputs), config.tracking.experiment)
        tracker.log(folder)
    except TrackingError as error:
        session.failures.append(error)
        session.display.say(
            f"vbench: {error}. The record is safe; log it later with: python -m vbench log"
            f" {shell_quoted(str(folder))}",
            style="red",
        )
        return None
    return tracker.runs_page


def _status(session: Session, planned: int = 1) -> int:
    """0 where all is there, valid and logged; else the gravest of what went wrong."""
    statuses = [failure.exit_status for failure in session.failures]
    if len(session.trials) < planned or any(not trial.valid for trial in session.trials.values()):
        statuses.append(TrialError.exit_status)
    gravest = (ConfigError.exit_status, TrialError.exit_status, TrackingError.exit_status)
    return next((status for status in gravest if status in statuses), 0)
