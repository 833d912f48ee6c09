"""One call of ``python -m vbench``: checks all of it first, hands it to Hydra, collects how it went."""

import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vbench import compose, environment
from vbench.display import Display
from vbench.errors import ConfigError, InputError, TrackingError, VbenchError
from vbench.record import TRIAL, Trial, write_json
from vbench.report import show_sweep, show_trial, show_where
from vbench.schema import Config
from vbench.tracking import SWEEP
from vbench.trial import NOT_FINGERPRINTED, run_trial
from vbench.validate import value_at

HYDRA_OPTIONS = ("--cfg", "-c", "--resolve", "--package", "-p", "--info", "-i", "--multirun", "-m")
"""What of Hydra's own command line is passed on; the others make no sense here."""

WITH_VALUE = ("--cfg", "-c", "--package", "-p", "--info", "-i")


@dataclass(slots=True)
class Session:
    """What the trials of one call share."""

    display: Display
    swept: tuple[str, ...]
    """Keys with several values, the block left out."""
    shown: tuple[str, ...]
    """Keys that make an arm's name: what is swept, or in a single trial what was set."""
    arguments: tuple[str, ...]
    trials: list[Trial] = field(default_factory=list)
    failures: list[VbenchError] = field(default_factory=list)


def run(arguments: Sequence[str]) -> int:
    """Check everything, then run it; the exit status. Raises VbenchError for what cannot be run at all."""
    options, overrides = split(arguments)
    multirun = bool({"--multirun", "-m"} & set(options))
    trials = compose.check(overrides, multirun=multirun)
    if {"--cfg", "-c", "--info", "-i"} & set(options):
        _hydra(options, overrides, None)
        return 0
    _check_outputs(Path(trials[0].outputs))
    parsed = compose.parse(overrides)
    swept = tuple(key for key in compose.swept_keys(parsed) if key != "block")
    given = tuple(o.key_or_group for o in parsed if not compose.is_hydras(o))
    shown = swept if multirun else tuple(dict.fromkeys(("mode", "runtime", *given)))
    session = Session(
        display=Display(),
        swept=swept,
        shown=tuple(key for key in shown if key.split(".")[0] not in NOT_FINGERPRINTED),
        arguments=tuple(arguments),
    )
    if multirun:
        session.display.say(f"{len(trials)} trials: {', '.join(swept) or 'nothing'} swept")
    _hydra(options, overrides, session)
    if multirun:
        show_sweep(session.display.console, session.trials)
    return _status(session)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's options with their values, and the overrides; ConfigError for an unknown option."""
    options: list[str] = []
    overrides: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        name = argument.split("=")[0]
        if name not in HYDRA_OPTIONS:
            raise ConfigError(
                f"there is no option '{argument}'; python -m vbench --help lists what there is."
            )
        options.append(argument)
        if name in WITH_VALUE and "=" not in argument:
            value = next(waiting, None)
            if value is not None:
                options.append(value)
    return options, overrides


def _hydra(options: Sequence[str], overrides: Sequence[str], session: Session | None) -> None:
    """Let Hydra make folders and walk through the sweep, calling back for each trial."""

    def trial(config: DictConfig) -> None:
        assert session is not None
        _one(config, session)

    sys.argv = ["vbench", *options, *overrides]
    # Hydra prints and exits by itself unless told to raise.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(compose.CONF_DIR), config_name="config")(trial)()
    except (HydraException, OmegaConfBaseException, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"Hydra cannot run '{' '.join(overrides)}': {first}.") from error


def _one(config: DictConfig, session: Session) -> None:
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    typed: Config = compose.typed(config)
    if (folder / TRIAL).exists():
        raise ConfigError(f"{folder} holds a trial already; give another hydra.run.dir, or none.")
    swept = {key: str(_value(typed, key)) for key in session.shown or ("mode", "runtime")}
    if hydra_config.mode == RunMode.MULTIRUN:
        _write_sweep(folder.parent, session)
        session.display.say(
            f"\ntrial {hydra_config.job.num + 1}: {' '.join(f'{k}={v}' for k, v in swept.items())}"
        )
    trial, error = run_trial(typed, folder, swept, session.display)
    session.trials.append(trial)
    if isinstance(error, InputError):
        session.failures.append(error)
        session.display.say(f"vbench: {error}", style="red")
        return
    show_trial(session.display.console, trial)
    page = _track(typed, folder, session) if typed.tracking.name != "off" else None
    show_where(session.display.console, folder, Path(typed.outputs), page)


def _value(config: Config, key: str) -> object:
    """The value of a key, or the name of the option chosen from a group."""
    node = value_at(config, key.replace("/", "."))
    return getattr(node, "name", node)


def _write_sweep(folder: Path, session: Session) -> None:
    path = folder / SWEEP
    if not path.exists():
        write_json(
            path,
            {
                "sweep_id": secrets.token_hex(8),
                "started": environment.now(),
                "swept": list(session.swept),
                "arguments": list(session.arguments),
            },
        )


def _track(config: Config, folder: Path, session: Session) -> str | None:
    """Log the trial; the UI's page of it. A failure is kept for the exit status, and said with a remedy."""
    from vbench.tracking import Tracker

    session.display.say("logging to MLflow")
    try:
        tracker = Tracker(Path(config.outputs), config.tracking.experiment)
        tracker.log(folder)
    except TrackingError as error:
        session.failures.append(error)
        session.display.say(
            f"vbench: {error}. The record is safe; log it later with: python -m vbench.tracking '{folder}'",
            style="red",
        )
        return None
    return tracker.runs_page


def _check_outputs(outputs: Path) -> None:
    """ConfigError where nothing can be written, before anything is measured."""
    try:
        for folder in (outputs, outputs / "runs", outputs / "sweeps", outputs / "cache"):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise ConfigError(
            f"outputs={outputs} cannot be written to ({error.strerror}); give a folder of your own, such as"
            f" outputs=/tmp/vbench."
        ) from error


def _status(session: Session) -> int:
    """0 where all is valid and logged; else the gravest of what went wrong."""
    statuses = [failure.exit_status for failure in session.failures]
    if any(status == ConfigError.exit_status for status in statuses):
        return ConfigError.exit_status
    if any(not trial.valid for trial in session.trials):
        return 1
    return max(statuses, default=0)
