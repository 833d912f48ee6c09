"""From the command line to validated trials: compose with Hydra, name what is wrong, start nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vbench.config.checkout import CONF, EXPERIMENTS
from vbench.config.path_option import IN_A_URL
from vbench.config.quoting import example_folder, shell_quoted, unquoted
from vbench.config.quoting import override as pasteable
from vbench.config.schema import MISSING, Config
from vbench.config.suggest import nearest
from vbench.errors import ConfigError, first_line
from vbench.load.pipeline_args import pipeline_args
from vbench.run.misshapen import misshapen
from vbench.run.overrides import OPEN_ENDED, expand, is_hydras, parse, swept_keys, written_out
from vbench.run.refusals import sentence
from vbench.run.validate import no_folder, problems

STUDIES = EXPERIMENTS.name
"""The group that whole studies are chosen from."""

NAMED_BY_USER = ("resources", "addresses")
"""Of these, those that the command line can add one by one."""

SWEPT = "hydra.sweeper.params"
"""Where Hydra itself keeps what is swept; vbench reads it from studies and the command line."""

OURS = ("hydra.sweep.subdir", "hydra/sweeper", "hydra.sweeper", "hydra/launcher", "hydra.launcher")
"""What of Hydra's sweeps vbench does itself."""

ConfigStore.instance().store(name="schema", node=Config)
OmegaConf.register_new_resolver("home", lambda path: _if_home("outputs", str(path)), replace=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command line asks for: one trial, or the arms of a sweep; composed and validated."""

    multirun: bool
    lines: list[list[str]]
    """The overrides of each arm, Hydra's own left out; one where it is a single trial."""
    arms: list[Config]
    """Their configurations, in the same order."""
    swept: tuple[str, ...]
    """Keys with several values."""
    given: tuple[str, ...]
    """Keys that the command line sets."""
    hydras: list[str]
    """Overrides of Hydra itself."""
    sweep_dir: str
    """Where a sweep goes; empty for a single trial."""


def groups() -> dict[str, list[str]]:
    """Config groups and their options, from the folders under ``conf/``."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }


def check(arguments: Sequence[str], *, multirun: bool) -> list[Config]:
    """The configurations of all arms that ``arguments`` ask for, as ``ask`` finds them."""
    return ask(arguments, multirun=multirun).arms


def check_one(arguments: Sequence[str]) -> Config:
    """The one configuration that ``arguments`` ask for, for a command that cannot sweep; ConfigError if they
    ask for a sweep."""
    for override in parse(arguments):
        line, key = override.input_line or "", override.key_or_group
        if key == STUDIES:
            raise ConfigError(f"'{line}': this command takes one configuration, and a study has several.")
        if override.is_sweep_override():
            raise ConfigError(
                f"'{line}' gives several values, and this command takes one configuration: give one value; if"
                f" it is one with a comma, quote it: {_as_one_value(line)}."
            )
        if key == "blocks" and override.value() != 1:
            raise ConfigError(f"'{line}': this command runs no sweep: leave it out.")
    (config,) = check(arguments, multirun=False)
    return config


def ask(arguments: Sequence[str], *, multirun: bool) -> Asked:
    """What ``arguments`` ask for, composed and validated; nothing is started or written.

    A study (``+experiments=NAME``) may make a sweep of it (``hydra.mode``) and say what is swept
    (``hydra.sweeper.params``); the command line wins over it, key by key. Raises ConfigError that names the
    key, the value and what would do.
    """
    parsed = parse(arguments)
    ours = [o for o in parsed if not is_hydras(o)]
    of_hydras_own = [o for o in parsed if is_hydras(o)]
    _check_hydras(of_hydras_own)
    hydras = [o.input_line or "" for o in of_hydras_own]
    with _hydra():
        study = _study(ours)
        of_hydra = composed([*study, *hydras], with_hydra=True).hydra
        multirun = multirun or of_hydra.mode == RunMode.MULTIRUN
        _check_folders(of_hydras_own)
        _check_outputs(ours)
        merged = _merged(ours, of_hydra.sweeper.params or {}) if multirun else ours
        _check_sweep(merged, multirun=multirun)
        check_names(merged)
        lines = expand(merged)
        arms = [typed(composed(line)) for line in lines]
        if not arms:
            raise ConfigError(f"'{' '.join(arguments)}' asks for no trial at all: a range is empty.")
        if not multirun and arms[0].blocks != 1:
            raise ConfigError(f"blocks={arms[0].blocks} asks for rounds of a sweep; add --multirun.")
        # Its name has the time, which a configuration keeps once it was asked for it.
        sweep_dir = _compose([*lines[0], *hydras], with_hydra=True).hydra.sweep.dir if multirun else ""
    return Asked(
        multirun=multirun,
        lines=lines,
        arms=arms,
        swept=tuple(swept_keys(merged)),
        given=tuple(o.key_or_group for o in ours if o.key_or_group != STUDIES),
        hydras=hydras,
        sweep_dir=sweep_dir,
    )


def studies() -> list[str]:
    """The names that ``+experiments=NAME`` may give."""
    return sorted(file.stem for file in EXPERIMENTS.glob("*.yaml"))


def _study(overrides: Sequence[Override]) -> list[str]:
    """The override that chooses a study, if there is one."""
    chosen = [o for o in overrides if o.key_or_group == STUDIES]
    for override in chosen:
        if override.is_sweep_override() or len(chosen) > 1:
            raise ConfigError(f"'{override.input_line}': one study at a time.")
        name = str(override.value())
        if name not in studies():
            raise ConfigError(f"+{STUDIES}={name} does not exist: {nearest(name, studies())}.")
        if not override.is_add():
            raise ConfigError(f"'{override.input_line}' lacks a plus sign: +{STUDIES}={name}.")
        _make_known(name)
    return [o.input_line or "" for o in chosen]


def _make_known(study: str) -> None:
    """Give Hydra the study's file.

    Its folder's parent on Hydra's search path would do so too, and make a config group of every other folder
    there: with ``outputs/`` in place, ``outputs=FOLDER`` would choose an option.
    """
    path = EXPERIMENTS / f"{study}.yaml"
    try:
        node = OmegaConf.load(path)
    except (OSError, YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    ConfigStore.instance().store(group=STUDIES, name=study, node=node, package="_global_")


def _merged(overrides: Sequence[Override], params: Mapping[str, str]) -> list[Override]:
    """The command line's overrides with a study's, in whose places they stand where both name a key."""
    left = {o.key_or_group: o for o in overrides}
    merged = [o for o in overrides if o.key_or_group == STUDIES]
    for key, values in params.items():
        merged.append(left[key] if key in left else parse([f"{key}={values}"])[0])
    return merged + [o for o in overrides if o.key_or_group not in (STUDIES, *params)]


def _check_hydras(overrides: Sequence[Override]) -> None:
    """ConfigError for what of Hydra vbench does itself, and for several values of what takes one."""
    for override in overrides:
        line, key = override.input_line or "", override.key_or_group
        if key.startswith(SWEPT):
            swept, _, values = line.partition(SWEPT)[2].lstrip(".").partition("=")
            example = f"{swept}={unquoted(values)}" if swept else "mode=chunked,combined"
            raise ConfigError(
                f"{line}: name what is swept on the command line: --multirun {shell_quoted(example)}."
            )
        if key.startswith(OURS):
            raise ConfigError(f"{line}: vbench runs its sweeps itself, trial N in the folder N of its own.")
        if override.is_sweep_override():
            raise ConfigError(
                f"{line}: this key takes one value; if it has a comma, quote it: {_as_one_value(line)}."
            )


def _check_folders(hydras: Sequence[Override]) -> None:
    """ConfigError for a folder without a name, which would be the current one."""
    for override in hydras:
        key = override.key_or_group
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not str(override.value() or "").strip():
            example = pasteable(key, example_folder("vbench_runs", IN_A_URL))
            raise ConfigError(f"{override.input_line} names no folder: give one, such as {example}.")


def _check_outputs(overrides: Sequence[Override]) -> None:
    """ConfigError for a folder of blanks. Hydra drops them, so only here can the value be shown as given."""
    for override in overrides:
        given = (override.input_line or "").partition("=")[2]
        if override.key_or_group == "outputs" and given and not given.strip():
            raise ConfigError(no_folder(given))


def _as_one_value(line: str) -> str:
    """The override, pluses included, with all that is behind the equals sign as one value."""
    key, _, value = line.partition("=")
    return pasteable(key, value)


def _check_sweep(overrides: Sequence[Override], *, multirun: bool) -> None:
    for override in overrides:
        key, line = override.key_or_group, override.input_line or ""
        if override.is_sweep_override():
            if not multirun:
                raise ConfigError(
                    f"{line} gives several values: add --multirun to run them all; if it is one value, quote"
                    f" it: {_as_one_value(line)}."
                )
            if key == "blocks":
                raise ConfigError(f"'{line}': a sweep has one number of rounds, such as blocks=5.")
        if multirun and key == "block":
            raise ConfigError(f"'{line}': a sweep numbers its rounds itself; say how many with blocks=2.")


def check_names(overrides: Sequence[Override]) -> None:
    """ConfigError for a group, an option or a key that does not exist, naming the nearest."""
    known = groups()
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
        if key not in known:
            continue
        chosen.append(f"{key}={_options(override, known[key])[0]}")
        if line.startswith("+"):
            raise ConfigError(f"{line}: {key} is there already: leave out the plus: {line.lstrip('+')}.")
    base = composed(chosen)
    _check_deleted(overrides)
    for override in overrides:
        key = override.key_or_group
        if key in known or key == STUDIES:
            continue
        parent, _, last = key.rpartition(".")
        if last == "name" and parent in known:
            raise ConfigError(
                f"'{key}' only says which option was chosen: choose with {parent}={override.value()}, where"
                f" {nearest(str(override.value()), known[parent])}."
            )
        line = override.input_line or ""
        _check_parts(base, override)
        if line.startswith("+") and parent.endswith(OPEN_ENDED):
            _check_key(base, parent)
            is_new = last not in OmegaConf.select(base, parent)
        else:
            _check_key(base, key, line)
            is_new = False
        if override.is_add() and not is_new:
            plain = shell_quoted(line.lstrip("+"))
            raise ConfigError(f"{line}: {key} is there already: leave out the plus: {plain}.")


def _check_deleted(overrides: Sequence[Override]) -> None:
    """ConfigError for what is set although it is taken out, or is taken out twice."""
    for number, deleted in enumerate(overrides):
        if not deleted.is_delete():
            continue
        others = (other for other in (*overrides[:number], *overrides[number + 1 :]))
        both = next((o for o in others if f"{o.key_or_group}.".startswith(f"{deleted.key_or_group}.")), None)
        if both is not None:
            raise ConfigError(
                f"'{both.input_line}' and '{deleted.input_line}' do not go together: leave one of them out."
            )


def _options(override: Override, known: Sequence[str]) -> list[str]:
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
    """ConfigError for several new names at once, which Hydra adds one by one."""
    key, value, line = override.key_or_group, override.value(), override.input_line or ""
    parent, _, last = key.rpartition(".")
    if line.startswith("+") and parent.endswith(".nodes") and isinstance(value, dict):
        whole = f"{parent}={{{last}: {line.partition('=')[2]}}}"
        raise ConfigError(_with_two_pluses(line, whole))
    if not key.endswith(OPEN_ENDED) or not isinstance(value, dict) or override.is_force_add():
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
        raise ConfigError(f"{line}: give each name by itself: {lines}.")


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
            raise ConfigError(
                f"'{key}' does not exist: '{'.'.join(seen)}' has no parts in this configuration."
            )
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


def _all_keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for name in map(str, node):
        key = f"{prefix}{name}"
        below = None if OmegaConf.is_missing(node, name) else node._get_node(name)
        if isinstance(below, DictConfig) and not below._is_none() and not below._is_interpolation():
            yield from _all_keys(below, f"{key}.")
        else:
            yield key


def composed(line: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
    """The configuration of one trial, not validated yet; Hydra's own too where that is asked for."""
    return _kept(tuple(line), with_hydra, _files())


def _files() -> tuple[tuple[str, int], ...]:
    """The files that a configuration is made of, and when each was changed last."""
    files = (*CONF.rglob("*.yaml"), *EXPERIMENTS.glob("*.yaml"))
    return tuple((str(file), file.stat().st_mtime_ns) for file in sorted(files))


@lru_cache(maxsize=8)
def _kept(line: tuple[str, ...], with_hydra: bool, _: tuple[tuple[str, int], ...]) -> DictConfig:
    """Hydra takes a quarter of a second for a line, and some are asked for again: what comes of them is read,
    not changed."""
    return _compose(line, with_hydra)


def _compose(line: Sequence[str], with_hydra: bool) -> DictConfig:
    try:
        return compose("config", overrides=list(line), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(sentence(error, line, _composes)) from error
    except (AssertionError, TypeError, ValueError) as error:  # what Hydra does not expect of a value
        raise ConfigError(f"Hydra cannot compose '{' '.join(line)}': {first_line(error)}.") from error


def typed(config: DictConfig) -> Config:
    """The configuration as dataclasses; ConfigError where a value is missing or cannot be."""
    try:
        value = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(sentence(error, [], _composes)) from error
    assert isinstance(value, Config)
    if wrong := list(misshapen(value)):
        raise ConfigError(" ".join(wrong))
    value = _at_home(value)
    found = problems(value)
    if found:
        raise ConfigError(" ".join(found))
    pipeline_args(value)
    return value


def _at_home(config: Config) -> Config:
    """With every ``~`` of a path written out, also that of a file."""
    video, model = config.video, config.model
    if video.path not in (None, MISSING):
        video = replace(video, path=_if_home("video.path", video.path))
    if model.weights != MISSING:
        model = replace(model, weights=_if_home("model.weights", model.weights))
    return replace(config, outputs=_if_home("outputs", config.outputs), video=video, model=model)


def _if_home(key: str, path: str) -> str:
    return str(written_out(key, path)) if path.startswith("~") else path


def _composes(line: Sequence[str]) -> bool:
    """Whether Hydra can compose it."""
    try:
        compose("config", overrides=list(line))
    except (HydraException, OmegaConfBaseException, AssertionError, TypeError, ValueError):
        return False
    return True


@contextmanager
def _hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
    GlobalHydra.instance().clear()
