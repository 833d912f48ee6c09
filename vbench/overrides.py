"""Overrides of the command line: read as Hydra reads them, and expanded to the arms of a sweep."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from vbench.errors import ConfigError
from vbench.options import home_path
from vbench.quoting import hydra_quoted, unquoted
from vbench.quoting import override as pasteable

ENUMERABLE = (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
"""Sweeps whose trials can be listed, and so checked, before the first one runs."""

KEY = re.compile(r"\+{0,2}[\w./@]+")

PATHS = ("outputs", "video.path", "model.weights", "hydra.run.dir", "hydra.sweep.dir")
"""Keys of folders and files, whose ``~`` is a home folder."""


def parse(arguments: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; ConfigError for what is not one."""
    overrides = []
    for argument in map(_at_home, arguments):
        try:
            overrides += OverridesParser.create().parse_overrides([argument])
        except HydraException as error:
            raise ConfigError(_not_an_override(argument)) from error
    for override in overrides:
        if override.is_sweep_override() and override.value_type not in ENUMERABLE:
            raise ConfigError(
                f"'{override.input_line}': a sweep takes values one by one, as in KEY=1,2,4, or a range(...)."
            )
        if override.is_sweep_override() and getattr(override.value(), "shuffle", False):
            raise ConfigError(
                f"'{override.input_line}': a sweep draws the order of its trials itself, balanced over its"
                f" blocks; give the values without shuffle(...)."
            )
        if override.is_delete():
            raise ConfigError(f"'{override.input_line}': nothing can be taken out of the configuration.")
    return overrides


def _not_an_override(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if equals and KEY.fullmatch(key):
        return f"{argument}: quote this value for Hydra and the shell: {pasteable(key, unquoted(value))}."
    return (
        f"'{argument}' is neither an option nor an override such as load.requests=8;"
        f" python -m vbench --help lists what there is."
    )


def _at_home(argument: str) -> str:
    """``argument`` with the ``~`` of a path written out, which not every shell does behind an equals sign."""
    key, _, value = argument.partition("=")
    plain = unquoted(value)
    if key.lstrip("+") not in PATHS or not plain.startswith("~"):
        return argument
    return f"{key}={hydra_quoted(str(written_out(key, plain)))}"


def written_out(key: str, path: str) -> Path:
    """``path`` with its ``~`` or ``~user`` replaced by that home folder; ConfigError if there is none."""
    try:
        return home_path(path)
    except RuntimeError as error:
        raise ConfigError(
            f"{key}={path}: there is no user of this name; for a folder called so give"
            f" {pasteable(key, f'./{path}')}."
        ) from error


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


def is_hydras(override: Override) -> bool:
    """Whether it sets something of Hydra itself (``hydra.run.dir=...``) and nothing of vbench."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"
