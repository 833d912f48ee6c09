"""From the command line to validated trials: compose with Hydra, name what is wrong, start nothing."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from vbench.errors import ConfigError
from vbench.graph import pipeline_args
from vbench.names import nearest
from vbench.schema import Config
from vbench.validate import problems

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"

OPEN_ENDED = ("nodes", "resources")
"""Keys whose parts the user names; others cannot be added to."""

ENUMERABLE = (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
"""Sweeps whose trials can be listed, and so checked, before the first one runs."""

ConfigStore.instance().store(name="schema", node=Config)


def groups() -> dict[str, list[str]]:
    """Config groups and their options, from the folders under ``conf/``."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF_DIR.iterdir())
        if folder.is_dir()
    }


def parse(arguments: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; ConfigError for what is not one."""
    overrides = []
    for argument in arguments:
        try:
            overrides += OverridesParser.create().parse_overrides([argument])
        except HydraException as error:
            raise ConfigError(_not_an_override(argument)) from error
    for override in overrides:
        if override.is_sweep_override() and override.value_type not in ENUMERABLE:
            raise ConfigError(
                f"'{override.input_line}': a sweep takes values one by one, as in KEY=1,2,4, or a range(...)."
            )
        if override.is_delete():
            raise ConfigError(f"'{override.input_line}': nothing can be taken out of the configuration.")
    return overrides


def _not_an_override(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if equals and re.fullmatch(r"\+{0,2}[\w./]+", key) and "'" not in value:
        return f"'{argument}': quote such a value, for the shell and for Hydra: \"{key}='{value}'\"."
    return (
        f"'{argument}' is neither an option nor an override such as load.requests=8;"
        f" python -m vbench --help lists what there is."
    )


def swept_keys(overrides: Sequence[Override]) -> list[str]:
    """Keys that take several values in a ``--multirun``, in the order given."""
    return [o.key_or_group for o in overrides if o.is_sweep_override()]


def expand(overrides: Sequence[Override]) -> list[list[str]]:
    """The command lines of all trials of a sweep, in Hydra's order; one where nothing is swept."""
    values: list[list[str]] = []
    for override in overrides:
        if override.is_sweep_override():
            key = override.get_key_element()
            values.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            values.append([override.input_line or ""])
    return [list(combination) for combination in itertools.product(*values)]


def check(arguments: Sequence[str], *, multirun: bool) -> list[Config]:
    """All trials that ``arguments`` ask for, composed and validated; nothing is started or written.

    Raises ConfigError that names the key, the value and what would do.
    """
    overrides = [o for o in parse(arguments) if not is_hydras(o)]
    if not multirun:
        for override in overrides:
            if override.is_sweep_override():
                raise ConfigError(
                    f"'{override.input_line}' gives several values; add --multirun to run them all,"
                    f" or give one."
                )
    with _hydra():
        check_names(overrides)
        trials = [typed(composed(line)) for line in expand(overrides)]
    if not trials:
        raise ConfigError(f"'{' '.join(arguments)}' asks for no trial at all: a range is empty.")
    return trials


def is_hydras(override: Override) -> bool:
    """Whether it sets something of Hydra itself (``hydra.run.dir=...``) and nothing of vbench."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"


def check_names(overrides: Sequence[Override]) -> None:
    """ConfigError for a group, an option or a key that does not exist, naming the nearest."""
    known = groups()
    chosen = []
    for override in overrides:
        key = override.key_or_group
        if key not in known:
            continue
        options = (
            list(override.sweep_string_iterator()) if override.is_sweep_override() else [override.value()]
        )
        for option in options:
            if str(option) not in known[key]:
                raise ConfigError(f"{key}={option} does not exist: {nearest(str(option), known[key])}.")
        chosen.append(f"{key}={options[0]}")
    base = composed(chosen)
    for override in overrides:
        key = override.key_or_group
        if key in known:
            continue
        parent, _, last = key.rpartition(".")
        if last == "name" and parent in known:
            raise ConfigError(
                f"'{key}' only says which option was chosen: choose with {parent}={override.value()}, where"
                f" {nearest(str(override.value()), known[parent])}."
            )
        if override.is_add() and parent.endswith(OPEN_ENDED):
            _check_key(base, parent)
        else:
            _check_key(base, key)


def _check_key(base: DictConfig, key: str) -> None:
    node: Any = base
    seen: list[str] = []
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            raise ConfigError(
                f"'{key}' does not exist: '{'.'.join(seen)}' has no parts in this configuration."
            )
        if part not in node:
            where = f"in '{'.'.join(seen)}' " if seen else ""
            raise ConfigError(f"'{key}' does not exist: {where}{nearest(part, map(str, node))}.")
        seen.append(part)
        node = None if OmegaConf.is_missing(node, part) else node[part]


def composed(line: Sequence[str]) -> DictConfig:
    """The configuration of one trial, not validated yet."""
    try:
        return compose("config", overrides=list(line))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_sentence(error, line)) from error


def typed(config: DictConfig) -> Config:
    """The configuration as dataclasses; ConfigError where a value is missing or cannot be."""
    try:
        value = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error, [])) from error
    assert isinstance(value, Config)
    found = problems(value)
    if found:
        raise ConfigError(" ".join(found))
    pipeline_args(value)
    return value


def _sentence(error: Exception, line: Sequence[str]) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    first = str(cause).strip().splitlines()[0]
    if isinstance(cause, MissingMandatoryValue):
        return f"{key} has no value; give one."
    given = next((item for item in line if key and item.lstrip("+").startswith(f"{key}=")), None)
    return f"{given or key or 'the configuration'}: {first.rstrip('.')}."


@contextmanager
def _hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield
    GlobalHydra.instance().clear()
