"""Composes configurations with Hydra, and says in one sentence why one cannot be composed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError
from yaml import YAMLError

from vbench.config.checkout import CONF
from vbench.config.option_files import STUDIES, OptionFiles
from vbench.config.quoting import hydra_quoted
from vbench.config.schema import Config
from vbench.errors import ConfigError, first_line
from vbench.run.overrides import expand_home
from vbench.run.refusals import sentence

VERSION_BASE = "1.3"

FAILURES = (HydraException, OmegaConfBaseException, AssertionError, TypeError, ValueError)
"""What Hydra raises for overrides that it cannot compose; the last three for unexpected values."""

Compose = Callable[[Sequence[str]], DictConfig]
"""Makes a configuration of overrides, with Hydra's own under ``hydra``; ConfigError if it cannot."""

ConfigStore.instance().store(name="schema", node=Config)
OmegaConf.register_new_resolver("home", lambda path: expand_home("outputs", str(path)), replace=True)


@contextmanager
def composer(files: OptionFiles) -> Iterator[Compose]:
    """Start Hydra with these option files, and end it."""
    path = [] if files.user_folder is None else [search_path(files)]

    def composes(line: Sequence[str]) -> bool:
        try:
            compose("config", overrides=[*path, *line])
        except FAILURES:
            return False
        return True

    def composed(line: Sequence[str]) -> DictConfig:
        try:
            return compose("config", overrides=[*path, *line], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(sentence(error, line, composes)) from error
        except FAILURES as error:
            raise ConfigError(f"Hydra cannot compose '{' '.join(line)}': {first_line(error)}.") from error

    with initialize_config_dir(str(CONF), version_base=VERSION_BASE, job_name="vbench"):
        yield composed
    GlobalHydra.instance().clear()


def is_about_a_value(error: ConfigError) -> bool:
    """Whether a configuration could not be composed for a value of the wrong type: then its key exists."""
    cause = error.__cause__
    return cause is not None and isinstance(cause.__cause__, ValidationError)


def search_path(files: OptionFiles) -> str:
    """The override with which Hydra finds the user's own option files."""
    return f"hydra.searchpath=[{hydra_quoted(f'file://{files.user_folder}')}]"


def register_studies(files: OptionFiles, *names: str) -> None:
    """Give Hydra the files of these studies, and of vbench's own, which they may extend.

    The folder ``experiments/`` on Hydra's search path would do so too, and make a config group of every other
    folder beside it: with ``outputs/`` in place, ``outputs=FOLDER`` would choose an option.
    """
    for name in names:
        path = files.studies()[name]
        try:
            node: Any = OmegaConf.load(path)
        except (OSError, YAMLError) as error:
            raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
        if files.user_folder is not None and path.is_relative_to(files.user_folder):
            continue  # Hydra finds it on its search path, and refuses to be given it twice.
        ConfigStore.instance().store(group=STUDIES, name=name, node=node, package="_global_")
