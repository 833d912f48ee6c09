"""Overrides of the command line: read as Hydra reads them, and expanded to the arms of a sweep."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep, ValueType
from hydra.errors import HydraException

from vbench.config.designs import FULL, MOST_ARMS, Levels, arms
from vbench.config.path_option import home_path
from vbench.config.quoting import hydra_quoted, shell_quoted, unquoted
from vbench.config.quoting import override as pasteable
from vbench.config.utf8 import not_utf8
from vbench.errors import ConfigError

ENUMERABLE = (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
"""Sweeps whose trials can be listed, and so checked, before the first one runs."""

KEY = re.compile(r"\+{0,2}[\w.][^\s=]*")
"""Text that may be meant as a key, right or wrong."""

SWEEP = re.compile(r"(choice|range|interval|glob|sort|shuffle)\(.*\)", re.DOTALL)
"""Hydra's functions that give several values."""

EXTENSIBLE_KEYS = ("nodes", "resources", "addresses", "env", "args", "headers")
"""Sections whose keys the user names: only their keys can be added or deleted."""

OPEN_SECTIONS = ("runtime.env.", "app.args.", "app.headers.")
"""Of these, those whose keys need no plus: they are empty until the user names some."""

PATHS = (
    *("outputs", "video.path", "model.weights", "app.working_dir", "app.requests"),
    *("hydra.run.dir", "hydra.sweep.dir"),
)
"""Keys of folders and files, whose ``~`` is a home folder."""


def parse(arguments: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them; ConfigError for what is not one."""
    overrides = []
    for argument in map(_with_home_expanded, arguments):
        try:
            overrides += OverridesParser.create().parse_overrides([argument])
        except HydraException as error:
            raise ConfigError(_not_an_override(argument)) from error
    for override in overrides:
        if override.is_sweep_override() and override.value_type not in ENUMERABLE:
            raise ConfigError(
                f"'{override.input_line}': give the values of a sweep one by one, as in KEY=1,2,4, or as a"
                f" range(...)."
            )
        if override.is_sweep_override() and getattr(override.value(), "shuffle", False):
            raise ConfigError(
                f"'{override.input_line}': a sweep draws the order of its trials itself, balanced over its"
                f" blocks; give the values without shuffle(...)."
            )
        if override.value_type == ValueType.RANGE_SWEEP:
            _check_range(override)
        if override.is_delete():
            _check_delete(override)
    return overrides


def _check_delete(override: Override) -> None:
    """ConfigError for a key that no configuration can do without, or a deletion with a value."""
    parent, _, name = override.key_or_group.rpartition(".")
    if not parent.endswith(EXTENSIBLE_KEYS):
        raise ConfigError(
            f"'{override.input_line}': only a node, a resource, an address or a variable can be deleted, as"
            f" in ~cluster.nodes.chunk2."
        )
    if override.value_type is not None:
        plain = shell_quoted(f"~{parent}.{name}")
        raise ConfigError(f"'{override.input_line}': to delete it, leave out the value: {plain}.")


def _check_range(override: Override) -> None:
    """ConfigError for a range that never ends, or that holds more values than a sweep can have."""
    swept = override.value()
    assert isinstance(swept, RangeSweep)
    start, stop, step = (float(part or 0) for part in (swept.start, swept.stop, swept.step))
    if step == 0:
        raise ConfigError(
            f"'{override.input_line}': the step of a range must not be 0: {_full_range(override)}."
        )
    if not all(map(math.isfinite, (start, stop, step))) or (stop - start) / step > MOST_ARMS:
        raise ConfigError(
            f"'{override.input_line}': a sweep can have at most {MOST_ARMS} arms: give a shorter range."
        )
    if (stop - start) / step <= 0:
        raise ConfigError(f"'{override.input_line}': this range holds no value: {_full_range(override)}.")


def _full_range(override: Override) -> str:
    """The remedy for a range without a value: one from its start to its stop."""
    swept, key = override.value(), override.get_key_element()
    assert isinstance(swept, RangeSweep)
    start, stop = swept.start or 0, swept.stop or 0
    if start == stop:
        return f"for one value give {key}={start}"
    step = math.copysign(abs(swept.step or 1), stop - start)
    return f"give {shell_quoted(f'{key}=range({start},{stop},{step:g})')}"


def _not_an_override(argument: str) -> str:
    """The sentence for what Hydra cannot read; it offers only what Hydra can."""
    key, equals, value = argument.partition("=")
    if not equals or not KEY.fullmatch(key):
        return (
            f"'{argument}' is neither an option nor an override such as load.requests=8;"
            f" vbench --help lists what there is."
        )
    if not _is_read(f"{key}=1"):
        return _wrong_key(argument, key, value)
    quoted = pasteable(key, unquoted(value))
    as_one = f"quote this value for Hydra and the shell: {quoted}"
    if SWEEP.fullmatch(value):
        return (
            f"'{argument}': Hydra cannot expand this; name the values one by one, as in {key}=A,B; if it is"
            f" one value, {as_one}."
        )
    values = [part for part in value.split(",") if part.strip()]
    fewer = f"{key}={','.join(values)}"
    if values and len(values) <= value.count(",") and _is_read(fewer):
        return f"'{argument}' has a comma too many: give {shell_quoted(fewer)}; if it is one value, {as_one}."
    return f"{argument}: {as_one}."


def _wrong_key(argument: str, key: str, value: str) -> str:
    plus = key[: len(key) - len(key.lstrip("+"))]
    mended = f"{plus}{'.'.join(part for part in key.lstrip('+').split('.') if part)}={value}"
    if mended != argument and _is_read(mended):
        return f"'{argument}': the key has a dot too many: give {shell_quoted(mended)}."
    return (
        f"'{argument}': Hydra cannot read the key '{key.lstrip('+')}': use names of letters, digits, _ and"
        " -, with dots between them."
    )


def _is_read(argument: str) -> bool:
    """Whether Hydra can read this override."""
    try:
        OverridesParser.create().parse_overrides([argument])
    except HydraException:
        return False
    return True


def check_utf8(arguments: Sequence[str]) -> None:
    """ConfigError for an argument, or a current folder, that records could not hold: JSON is UTF-8."""
    if (sentence := not_utf8(arguments)) is not None:
        raise ConfigError(f"{sentence}.")


def _with_home_expanded(argument: str) -> str:
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
            f"{key}={path}: there is no such user; for a folder of that name give"
            f" {pasteable(key, f'./{path}')}."
        ) from error


def expand_home(key: str, path: str) -> str:
    """As ``written_out`` if the path has a ``~`` at its start; else the path as it is."""
    return str(written_out(key, path)) if path.startswith("~") else path


def swept_keys(overrides: Sequence[Override]) -> list[str]:
    """Keys that take several values in a ``--multirun``, in the order given."""
    return [o.key_or_group for o in overrides if o.is_sweep_override()]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLine:
    """The command line of one arm of a sweep."""

    overrides: list[str]
    levels: Levels
    """For each swept key the place of its value among its values."""


def expand(overrides: Sequence[Override], design: str = FULL) -> list[ArmLine]:
    """The command lines of all arms of a sweep, in Hydra's order; one if nothing is swept.

    ConfigError if the design does not fit what is swept, or there are more than ``MOST_ARMS``.
    """
    keys = swept_keys(overrides)
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is swept twice: give all its values at once, as in {twice}=A,B.")
    swept = {
        override.key_or_group: [str(value) for value in override.sweep_string_iterator()]
        for override in overrides
        if override.is_sweep_override()
    }
    return [
        ArmLine(overrides=[_with_value(override, swept, levels) for override in overrides], levels=levels)
        for levels in arms(design, swept)
    ]


def _with_value(override: Override, swept: Mapping[str, Sequence[str]], levels: Levels) -> str:
    """The override with the one of its values that an arm has."""
    if not override.is_sweep_override():
        return _opened(override, override.input_line or "")
    level = levels[list(swept).index(override.key_or_group)]
    key = _opened(override, override.get_key_element())
    return f"{key}={swept[override.key_or_group][level]}"


def sets_in_open_section(override: Override) -> bool:
    """Whether it sets a key that may be new, without saying so by a plus."""
    plain = not (override.input_line or "").startswith(("+", "~"))
    return plain and override.key_or_group.startswith(OPEN_SECTIONS)


def _opened(override: Override, line: str) -> str:
    """``line`` with the pluses by which Hydra takes a key that may be new."""
    return f"++{line}" if sets_in_open_section(override) else line


def is_hydras(override: Override) -> bool:
    """Whether it sets something of Hydra itself (``hydra.run.dir=...``) and nothing of vbench."""
    return override.key_or_group.split(".")[0].split("/")[0] == "hydra"
