"""Refuses groups, options and keys that do not exist, naming the nearest one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from vbench.config.option_files import STUDIES, OptionFiles
from vbench.config.quoting import override as pasteable
from vbench.config.quoting import shell_quoted
from vbench.config.workload import APP
from vbench.errors import ConfigError, nearest
from vbench.run.overrides import EXTENSIBLE_KEYS, sets_in_open_section
from vbench.run.published_nodes import with_published_nodes
from vbench.run.refusals import without_parts

NAMED_BY_USER = ("resources", "addresses", "env", "args", "headers")
"""Of these, those that the command line can add one by one."""

OPTIONAL_SECTIONS = ("video.scene.", "app.")
"""Keys of a section that is absent in some options."""


def must_be_checked(override: Override) -> bool:
    """Whether ``check_keys`` has something to say about an override that Hydra can compose.

    That is so for what it adds, for a section that it sets as a whole, and for what it sets in a section that
    may be absent, which Hydra would make.
    """
    line = override.input_line or ""
    is_study = override.key_or_group == STUDIES
    return not is_study and (
        line.startswith("+")
        or isinstance(override.value(), dict)
        or override.key_or_group.startswith(OPTIONAL_SECTIONS)
    )


def check_choices(overrides: Sequence[Override], files: OptionFiles) -> list[str]:
    """The overrides that choose options, each with the first that it chooses.

    ConfigError for an option that does not exist, naming the nearest, and for overrides that contradict each
    other.
    """
    groups = files.groups()
    chosen = []
    for override in overrides:
        key, line = override.key_or_group, override.input_line or ""
        if override.package is not None:
            plain = f"{key}={line.partition('=')[2]}"
            raise ConfigError(
                f"'{line}': @{override.package} would put it elsewhere in the configuration: leave that out:"
                f" {shell_quoted(plain)}."
            )
        if key == STUDIES:
            chosen.append(line)
        if key not in groups:
            continue
        chosen.append(f"{key}={_options(override, groups[key])[0]}")
        if line.startswith("+"):
            raise ConfigError(f"{line}: {key} is there already: leave out the plus: {line.lstrip('+')}.")
    _check_deleted(overrides)
    for override in overrides:
        parent, _, last = override.key_or_group.rpartition(".")
        if last == "name" and parent in groups:
            raise ConfigError(
                f"'{override.key_or_group}' only names the chosen option: choose it with"
                f" {parent}={override.value()}; {nearest(str(override.value()), groups[parent])}."
            )
    return with_published_nodes(chosen, [override.input_line or "" for override in overrides])


def check_keys(overrides: Sequence[Override], base: DictConfig, files: OptionFiles) -> None:
    """ConfigError for a key that does not exist, naming the nearest; ``base``: the configuration without
    these overrides, but with the options that they choose."""
    groups = files.groups()
    for override in overrides:
        key = override.key_or_group
        if key in groups or key == STUDIES:
            continue
        parent, _, last = key.rpartition(".")
        line = override.input_line or ""
        _check_parts(base, override)
        if sets_in_open_section(override) or (line.startswith("+") and parent.endswith(EXTENSIBLE_KEYS)):
            _check_key(base, parent)
            is_new = last not in OmegaConf.select(base, parent)
        else:
            _check_key(base, key, line)
            is_new = False
        if override.is_add() and not is_new:
            plain = shell_quoted(line.lstrip("+"))
            raise ConfigError(f"{line}: {key} is there already: leave out the plus: {plain}.")


def _check_deleted(overrides: Sequence[Override]) -> None:
    """ConfigError for a key that is both set and deleted, or deleted twice."""
    for number, deleted in enumerate(overrides):
        if not deleted.is_delete():
            continue
        others = (other for other in (*overrides[:number], *overrides[number + 1 :]))
        both = next((o for o in others if f"{o.key_or_group}.".startswith(f"{deleted.key_or_group}.")), None)
        if both is not None:
            raise ConfigError(
                f"'{both.input_line}' and '{deleted.input_line}' contradict each other: leave one out."
            )


def _options(override: Override, known: Iterable[str]) -> list[str]:
    """What an override chooses of a group; ConfigError for what is not ``known``."""
    key = override.key_or_group
    swept = override.is_sweep_override()
    options = list(override.sweep_string_iterator()) if swept else [_as_written(override.value())]
    for option in options:
        if option in known:
            continue
        if key == "video" and ("/" in option or "." in option):
            video = pasteable("video.path", option)
            raise ConfigError(f"video={option} does not exist; for a file give: video=file {video}.")
        raise ConfigError(f"{key}={option} does not exist: {nearest(option, known)}.")
    return options


def _as_written(value: object) -> str:
    """A value as the command line has it."""
    return "null" if value is None else str(value)


def _check_parts(base: DictConfig, override: Override) -> None:
    """ConfigError for several new names at once, which Hydra can only add one by one."""
    key, value, line = override.key_or_group, override.value(), override.input_line or ""
    parent, _, last = key.rpartition(".")
    if line.startswith("+") and parent.endswith(".nodes") and isinstance(value, dict):
        whole = f"{parent}={{{last}: {line.partition('=')[2]}}}"
        raise ConfigError(_with_two_pluses(line, whole))
    if not key.endswith(EXTENSIBLE_KEYS) or not isinstance(value, dict) or override.is_force_add():
        return
    there = OmegaConf.select(base, key)
    new = [name for name in value if not isinstance(there, DictConfig) or name not in there]
    if new or override.is_add():
        names = new or list(value)
        lines = " ".join(
            shell_quoted(f"{'+' if name in new else ''}{key}.{name}={value[name]}")
            for name in names
            if not isinstance(value[name], dict)
        )
        if not lines:
            raise ConfigError(_with_two_pluses(line, line))
        raise ConfigError(f"{line}: add each name on its own: {lines}.")


def _with_two_pluses(line: str, whole: str) -> str:
    """The sentence for a part that has parts itself, which Hydra adds with two pluses alone."""
    return f"{line}: to add this, give it two pluses: {shell_quoted('++' + whole.lstrip('+'))}."


def _check_key(base: DictConfig, key: str, line: str = "") -> None:
    """ConfigError if the configuration has no such key, naming the nearest; ``line`` is what sets it."""
    if "." not in key and key not in base:
        value = line.partition("=")[2]
        fuller = [name for name in _all_keys(base) if name.endswith(f".{key}")]
        if len(fuller) == 1:
            raise ConfigError(f"'{key}' does not exist: did you mean {shell_quoted(f'{fuller[0]}={value}')}?")
        if fuller:
            raise ConfigError(f"'{key}' does not exist: did you mean one of {', '.join(fuller)}?")
    node: Any = base
    seen: list[str] = []
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            raise ConfigError(f"'{key}' does not exist: {_without_parts('.'.join(seen), line)}.")
        if part not in node:
            where = f"in '{'.'.join(seen)}' " if seen else ""
            new = (
                f"+{line}"
                if key == ".".join([*seen, part]) and ".".join(seen).endswith(NAMED_BY_USER)
                else ""
            )
            if new and not line.startswith(("+", "~")):
                where += f"{nearest(part, map(str, node))}; to add it, give it a plus: {shell_quoted(new)}"
                raise ConfigError(f"'{key}' does not exist: {where}.")
            raise ConfigError(f"'{key}' does not exist: {where}{nearest(part, map(str, node))}.")
        seen.append(part)
        node = None if OmegaConf.is_missing(node, part) else node[part]


def _without_parts(key: str, line: str) -> str:
    """The remark on a key below ``key``, which is a section that an option leaves out, or one value."""
    if key == APP:
        return f"it is for an application of your own: add workload={APP}"
    if f"{key}." in OPTIONAL_SECTIONS:
        return f"{key} is null with this option: add {key.replace('.', '=')}"
    return without_parts(key, line)


def _all_keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for name in map(str, node):
        key = f"{prefix}{name}"
        below = None if OmegaConf.is_missing(node, name) else node._get_node(name)
        if isinstance(below, DictConfig) and not below._is_none() and not below._is_interpolation():
            yield from _all_keys(below, f"{key}.")
        else:
            yield key
