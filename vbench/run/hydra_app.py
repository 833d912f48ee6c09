"""What Hydra does beside composing: the folder of a trial with its ``.hydra/``, ``--cfg`` and ``--info``."""

import contextlib
import copy
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.errors import HydraException
from hydra.types import HydraContext
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from vbench.config.checkout import CONF
from vbench.config.option_files import OptionFiles
from vbench.config.quoting import hydra_quoted
from vbench.errors import ConfigError, first_line, nearest
from vbench.run.command_line import CommandLine
from vbench.run.compose import Arm, Composition
from vbench.run.composer import VERSION_BASE, composer

Task = Callable[[Path], None]
"""Given a trial's folder."""


def show_config(arm: Arm, line: CommandLine) -> None:
    """Print the configuration of an arm as ``--cfg`` asks for it; ConfigError if it has no such package."""
    config = copy.deepcopy(arm.composed)
    HydraConfig.instance().set_config(config)
    with flag_override(config, ["struct", "readonly"], [False, False]):
        if line.cfg == "job":
            del config["hydra"]
        elif line.cfg == "hydra":
            for key in [key for key in config if key != "hydra"]:
                del config[key]
            with flag_override(config.hydra, ["struct", "readonly"], [False, False]):
                del config.hydra["help"], config.hydra["hydra_help"]
    package = None if line.package == "_global_" else line.package
    part = config if package is None else _part(config, package)
    if not OmegaConf.is_config(part):
        print("null" if part is None else part)
        return
    if package is not None:
        print(f"# @package {package}")
    if line.is_resolved:
        OmegaConf.resolve(part)
    print(OmegaConf.to_yaml(part), end="")


def _part(config: DictConfig, package: str) -> Any:
    """The value at a dotted key; ConfigError if there is none, naming the nearest."""
    node: Any = config
    above = ""
    for name in package.split("."):
        names = [f"{above}{key}" for key in map(str, node)] if isinstance(node, DictConfig) else []
        if f"{above}{name}" not in names:
            near = nearest(f"{above}{name}", names or [above.rstrip(".")])
            raise ConfigError(f"--package {package}: the configuration has no such part: {near}.")
        node = "???" if OmegaConf.is_missing(node, name) else node[name]
        above = f"{above}{name}."
    return node


def show_info(composition: Composition, overrides: Sequence[str], info: str) -> None:
    """Let Hydra print how it composes a configuration."""
    call_hydra(["--info", info], overrides, composition.files)


def call_hydra(options: Sequence[str], overrides: Sequence[str], files: OptionFiles) -> None:
    """Run Hydra's own command line, for what it prints; ConfigError if it cannot."""
    folder = [] if files.user_folder is None else ["--config-dir", str(files.user_folder)]
    sys.argv = ["vbench", *options, *folder, *overrides]
    main = hydra.main(version_base=VERSION_BASE, config_path=str(CONF), config_name="config")
    with _hydra_errors(overrides):
        main(lambda _: None)()


def run_in_folder(
    composition: Composition, arm: Arm, task: Task, *, block: int | None = None, folder: Path | None = None
) -> None:
    """Let Hydra call ``task`` for one trial of an arm, in ``folder`` or where ``hydra.run.dir`` says.

    ``block``: its block, for a trial of a sweep. What the task raises comes out as it is; ConfigError for
    what Hydra cannot do.
    """
    # Here, because it takes a tenth of a second and no other command needs it.
    from hydra._internal.callbacks import Callbacks

    config = _hydra_config(arm, block, folder)
    raised: list[Exception] = []

    def called(_: DictConfig) -> None:
        try:
            # With hydra.job.chdir=true Hydra has gone into the trial's folder; relative paths of the command
            # line mean what they meant when it was given.
            with contextlib.chdir(get_original_cwd()):
                task(Path(HydraConfig.get().runtime.output_dir))
        except Exception as error:  # noqa: BLE001 - raised again below: Hydra would take it for its own
            raised.append(error)

    with composer(composition.files), _hydra_errors(arm.overrides):
        callbacks = Callbacks(config)
        callbacks.on_run_start(config=config, config_name="config")
        done = run_job(
            task_function=called,
            config=config,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(
                config_loader=GlobalHydra.instance().config_loader(), callbacks=callbacks
            ),
        )
        callbacks.on_run_end(config=config, config_name="config", job_return=done)
    if raised:
        raise raised[0]


def _hydra_config(arm: Arm, block: int | None, folder: Path | None) -> DictConfig:
    """The arm as Hydra would compose it with this block and folder on the command line."""
    config = copy.deepcopy(arm.composed)
    if block is not None:
        config.block = block
        config.hydra.overrides.task.append(f"block={block}")
    if folder is not None:
        config.hydra.run.dir = str(folder)
        config.hydra.overrides.hydra.append(f"hydra.run.dir={hydra_quoted(str(folder))}")
    return config


@contextlib.contextmanager
def _hydra_errors(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra's errors as ConfigError."""
    # Hydra prints and exits unless told to raise.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # It also logs to standard output. A closed pipe there is no error in logging.
    logging.raiseExceptions = False
    try:
        yield
    except OSError as error:
        if error.filename is None:  # of a stream: Hydra's output
            raise
        raise ConfigError(
            f"the trial's folder {error.filename} cannot be made ({error.strerror}): give another"
            f" hydra.run.dir, or none."
        ) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"Hydra cannot run '{' '.join(overrides)}': {first_line(error)}.") from error
