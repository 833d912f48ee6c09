"""Composes configurations with Hydra, and says in one sentence why one cannot be composed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
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
from vbench.run.published_nodes import with_published_nodes
from vbench.run.refusals import sentence

VERSION_BASE = "1.3"

FAILURES = (HydraException, OmegaConfBaseException, AssertionError, TypeError, ValueError)
"""What Hydra raises for overrides that it cannot compose; the last three for unexpected values."""

GLOBAL_HEADER = "# @package _global_"
"""Tells Hydra that the keys of an option file are those of the whole configuration."""

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
            compose("config", overrides=[*path, *with_published_nodes(line)])
        except (*FAILURES, OSError, YAMLError):
            return False
        return True

    def composed(line: Sequence[str]) -> DictConfig:
        try:
            whole = [*path, *with_published_nodes(line)]
            return compose("config", overrides=whole, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(sentence(error, line, composes)) from error
        except FAILURES as error:
            raise ConfigError(
                f"Hydra cannot compose '{' '.join(line)}': {first_line(error)}. vbench --help lists all keys"
                f" and their defaults."
            ) from error
        except (OSError, YAMLError) as error:
            raise ConfigError(
                f"an option file cannot be read: {' '.join(str(error).split())}; correct it."
            ) from error

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


def register_studies(files: OptionFiles, name: str | None = None) -> None:
    """Give Hydra the file of a study of vbench, or of all of them for a user's study, which may extend them.

    The folder ``experiments/`` on Hydra's search path would do so too, and make a config group of every other
    folder beside it: with ``outputs/`` in place, ``outputs=FOLDER`` would choose an option. ConfigError if a
    file cannot be used.
    """
    own = OptionFiles().studies()
    if name is not None and name in own:
        own = {name: own[name]}
    elif name is not None:
        _check_header(files.studies()[name])
    for study, path in own.items():
        try:
            node: Any = OmegaConf.load(path)
        except (OSError, YAMLError) as error:
            raise ConfigError(
                f"{path} cannot be read ({' '.join(str(error).split())}): correct it."
            ) from error
        ConfigStore.instance().store(group=STUDIES, name=study, node=node, package="_global_")


def _check_header(path: Path) -> None:
    """ConfigError if a study does not tell Hydra that its keys are those of the whole configuration."""
    try:
        first = path.read_text().partition("\n")[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; correct it.") from error
    if first.strip() != GLOBAL_HEADER:
        raise ConfigError(f"{path}: the first line of a study must be '{GLOBAL_HEADER}'.")
