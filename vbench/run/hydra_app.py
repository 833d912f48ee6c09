"""What Hydra does for a trial: it composes the configuration, makes the folder, leaves ``.hydra/`` in it."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import get_original_cwd
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vbench.config.checkout import CONF
from vbench.config.quoting import hydra_quoted
from vbench.config.schema import Config
from vbench.errors import ConfigError, first_line
from vbench.run.compose import typed

OPTIONS = ("--cfg", "-c", "--resolve", "--package", "-p", "--info", "-i", "--multirun", "-m")
"""What of Hydra's own command line is passed on; the others make no sense here."""

WITH_VALUE = ("--cfg", "-c", "--package", "-p", "--info", "-i")
MULTIRUN = ("--multirun", "-m")

Task = Callable[[Config, Path], None]
"""Given a trial's configuration and its folder."""


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
        if name not in OPTIONS:
            raise ConfigError(
                f"there is no option '{argument}'; python -m vbench --help lists what there is."
            )
        options.append(argument)
        if name in WITH_VALUE and "=" not in argument:
            value = next(waiting, None)
            if value is not None:
                options.append(value)
    names = {option.split("=")[0] for option in options}
    if names & {"--package", "-p", "--resolve"} and not names & {"--cfg", "-c"}:
        raise ConfigError(
            f"'{' '.join(options)}': --package and --resolve say how to print a configuration: add --cfg job."
        )
    return options, overrides


def only_shows(options: Sequence[str]) -> bool:
    """Whether Hydra is asked to print something and run nothing."""
    return any(option.split("=")[0] in ("--cfg", "-c", "--info", "-i") for option in options)


def show(options: Sequence[str], overrides: Sequence[str]) -> None:
    """Let Hydra print what ``options`` ask for, of one trial."""
    try:
        _call([option for option in options if option not in MULTIRUN], overrides, lambda _: None)
    except SystemExit as error:
        # Hydra has said why, and ends with 1 for some of what the command line has wrong.
        raise SystemExit(ConfigError.exit_status if error.code else 0) from error


def run(overrides: Sequence[str], task: Task, folder: Path | None = None) -> None:
    """Let Hydra call ``task`` with one trial; in ``folder``, or where ``hydra.run.dir`` says.

    What the task raises comes out as it is; ConfigError for what Hydra cannot do.
    """
    raised: list[Exception] = []

    def called(config: DictConfig) -> None:
        try:
            # With hydra.job.chdir=true Hydra has gone into the trial's folder; relative paths of the command
            # line mean what they meant where it was given.
            with contextlib.chdir(get_original_cwd()):
                task(typed(config), Path(HydraConfig.get().runtime.output_dir))
        except Exception as error:  # noqa: BLE001 - raised again below, where Hydra cannot take it for its own
            raised.append(error)

    place = [f"hydra.run.dir={hydra_quoted(str(folder))}"] if folder else []
    _call([], [*overrides, "hydra.mode=RUN", *place], called)
    if raised:
        raise raised[0]


def _call(options: Sequence[str], overrides: Sequence[str], task: Callable[[DictConfig], None]) -> None:
    sys.argv = ["vbench", *options, *overrides]
    # Hydra prints and exits by itself unless told to raise.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # It also logs to standard output. If nobody reads that, it is no error in logging.
    logging.raiseExceptions = False
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    except OSError as error:
        if error.filename is None:  # of a stream: Hydra's output
            raise
        raise ConfigError(
            f"the trial's folder {error.filename} cannot be made ({error.strerror}): give another"
            f" hydra.run.dir, or none."
        ) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"Hydra cannot run '{' '.join(overrides)}': {first_line(error)}.") from error
