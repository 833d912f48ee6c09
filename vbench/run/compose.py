"""From the command line to validated trials: each configuration is composed and validated once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from vbench.config.designs import FULL, Levels
from vbench.config.option_files import STUDIES, OptionFiles, find_option_files
from vbench.config.path_option import IN_A_URL
from vbench.config.quoting import example_folder, shell_quoted, unquoted
from vbench.config.quoting import override as pasteable
from vbench.config.schema import Config
from vbench.errors import ConfigError, nearest
from vbench.run.composer import Compose, composer, is_about_a_value, register_studies
from vbench.run.key_checks import check_choices, check_keys, must_be_checked
from vbench.run.overrides import expand, is_hydras, parse, swept_keys
from vbench.run.typed_config import typed
from vbench.run.validate import no_folder

SWEEPER_PARAMS = "hydra.sweeper.params"
"""Where Hydra itself keeps what is swept; vbench reads it from studies and the command line."""

RESERVED_HYDRA_KEYS = (
    "hydra.sweep.subdir",
    "hydra/sweeper",
    "hydra.sweeper",
    "hydra/launcher",
    "hydra.launcher",
)
"""Settings of Hydra's sweeps, which vbench runs itself."""

SINGLE_RUN = "hydra.mode=RUN"
"""Every trial is a run of its own, also in a sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One configuration of a command line, composed and validated."""

    overrides: list[str]
    """The overrides that make it, without those of Hydra itself."""
    config: Config
    composed: DictConfig = field(repr=False, compare=False)
    """The same as Hydra composed it, with Hydra's own configuration under ``hydra``."""
    levels: Levels = ()
    """For each swept key the place of its value among its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The trials of a command line: one, or the arms of a sweep."""

    multirun: bool
    arms: list[Arm]
    """One for a single trial."""
    swept: tuple[str, ...]
    """Keys with several values."""
    given: tuple[str, ...]
    """Keys that the command line sets."""
    files: OptionFiles
    """The option files that it was composed from."""

    @property
    def configs(self) -> list[Config]:
        """The configurations of all arms."""
        return [arm.config for arm in self.arms]

    @property
    def sweep_dir(self) -> str:
        """Where a sweep goes. It has the time in its name, of the moment when it is first read."""
        return str(self.arms[0].composed.hydra.sweep.dir)


def compose_configs(arguments: Sequence[str], *, multirun: bool, deploys: bool = True) -> list[Config]:
    """The configurations of all arms of a command line, as ``compose_trials`` makes them."""
    return compose_trials(arguments, multirun=multirun, deploys=deploys).configs


def compose_one(arguments: Sequence[str], *, deploys: bool = True) -> Config:
    """The configuration for a command that takes only one; ConfigError if the arguments make a sweep.

    ``deploys``: whether anything is deployed, for which the nodes must have room.
    """
    for override in parse(arguments):
        line, key = override.input_line or "", override.key_or_group
        if key == STUDIES:
            raise ConfigError(
                f"'{line}': this command takes one configuration, and a study has several: leave it out, and"
                f" give the values of one arm, such as runtime=oss."
            )
        if override.is_sweep_override():
            raise ConfigError(
                f"'{line}' gives several values, and this command takes one configuration: give one value; if"
                f" it is one with a comma, quote it: {_as_one_value(line)}."
            )
        if (key == "blocks" and override.value() != 1) or (key == "design" and override.value() != FULL):
            raise ConfigError(f"'{line}': this command runs no sweep: leave it out.")
    (config,) = compose_configs(arguments, multirun=False, deploys=deploys)
    return config


def compose_trials(
    arguments: Sequence[str], *, multirun: bool, files: OptionFiles | None = None, deploys: bool = True
) -> Composition:
    """Compose and validate the trials of a command line; nothing is started or written.

    A study (``+experiments=NAME``) may make it a sweep (``hydra.mode``) and name what is swept
    (``hydra.sweeper.params``); the command line wins, key by key.

    Args:
        arguments: the overrides.
        multirun: whether several values of a key make a sweep.
        files: the option files; those of vbench and of ``vbench_conf/`` by default.
        deploys: whether anything is deployed, for which the nodes must have room.

    Raises:
        ConfigError: it cannot be run; the message names the key, the value and the remedy.
    """
    files = files or find_option_files()
    parsed = parse(arguments)
    overrides = [o for o in parsed if not is_hydras(o)]
    of_hydra = [o for o in parsed if is_hydras(o)]
    _check_hydra_overrides(of_hydra)
    hydra_lines = [o.input_line or "" for o in of_hydra]
    with composer(files) as compose:
        mode, params, design = _study(overrides, hydra_lines, files, compose)
        multirun = multirun or mode == RunMode.MULTIRUN or _asks_for_multirun(of_hydra)
        _check_folders(of_hydra)
        _check_outputs(overrides)
        merged = _merged(overrides, params) if multirun else overrides
        _check_sweep(merged, multirun=multirun)
        chosen = check_choices(merged, files)
        design = _design(merged, design) if multirun else FULL
        lines = expand(merged, design)
        if is_checked := any(map(must_be_checked, merged)):
            check_keys(merged, _base(chosen, compose), files)
        try:
            composed = [compose([*line.overrides, *hydra_lines, SINGLE_RUN]) for line in lines]
        except ConfigError as error:
            if not is_checked and not is_about_a_value(error):
                check_keys(merged, _base(chosen, compose), files)  # names the nearest right key
            raise
        arms = [
            Arm(
                overrides=line.overrides,
                config=typed(config, deploys=deploys),
                composed=config,
                levels=line.levels,
            )
            for line, config in zip(lines, composed, strict=True)
        ]
    _check_is_sweep(arms[0].config, design, multirun=multirun)
    return Composition(
        multirun=multirun,
        arms=arms,
        swept=tuple(swept_keys(merged)),
        given=tuple(o.key_or_group for o in overrides if o.key_or_group != STUDIES),
        files=files,
    )


def _design(merged: Sequence[Override], of_study: str) -> str:
    """The design of a sweep: what the command line says, or its study."""
    given = [str(override.value()) for override in merged if override.key_or_group == "design"]
    return given[-1] if given else of_study


def _check_is_sweep(config: Config, design: str, *, multirun: bool) -> None:
    """ConfigError for what only a sweep has, in a single trial, and for a design that is not the sweep's."""
    if not multirun and config.blocks != 1:
        raise ConfigError(f"blocks={config.blocks} is for a sweep: add --multirun.")
    if not multirun and config.design != FULL:
        raise ConfigError(f"design={config.design} is for a sweep: add --multirun.")
    if config.design != design:
        raise ConfigError(
            f"design={config.design} is in an option file, where a sweep does not read it: give it on the"
            f" command line, or in a study."
        )


def _base(chosen: Sequence[str], compose: Compose) -> DictConfig:
    """The configuration with the chosen options and no other override, without Hydra's own."""
    base = compose(chosen)
    with open_dict(base):
        del base["hydra"]
    return base


def _study(
    overrides: Sequence[Override], hydra_lines: Sequence[str], files: OptionFiles, compose: Compose
) -> tuple[RunMode | None, Mapping[str, str], str]:
    """Hydra's mode, the swept keys and the design of the chosen study; without a study, the defaults."""
    chosen = [o for o in overrides if o.key_or_group == STUDIES]
    if not chosen:
        return None, {}, FULL
    studies = files.studies()
    for override in chosen:
        if override.is_sweep_override() or len(chosen) > 1:
            raise ConfigError(
                f"'{override.input_line}': one study at a time: leave out the others, as in"
                f" +{STUDIES}={_first_value(override)}."
            )
        name = str(override.value())
        if name not in studies:
            raise ConfigError(f"+{STUDIES}={name} does not exist: {nearest(name, studies)}.")
        if not override.is_add():
            raise ConfigError(f"'{override.input_line}' lacks a plus sign: give +{STUDIES}={name}.")
        register_studies(files, name)
    study = compose([*(o.input_line or "" for o in chosen), *hydra_lines])
    return study.hydra.mode, study.hydra.sweeper.params or {}, str(study.design)


def _asks_for_multirun(of_hydra: Sequence[Override]) -> bool:
    """Whether ``hydra.mode=MULTIRUN`` is given, which is ``--multirun`` in other words."""
    modes = [o.value() for o in of_hydra if o.key_or_group == "hydra.mode"]
    return bool(modes) and str(modes[-1]) == RunMode.MULTIRUN.name


def _merged(overrides: Sequence[Override], params: Mapping[str, str]) -> list[Override]:
    """The command line's overrides with a study's, in whose places they stand if both name a key."""
    left = {o.key_or_group: o for o in overrides}
    merged = [o for o in overrides if o.key_or_group == STUDIES]
    for key, values in params.items():
        merged.append(left[key] if key in left else parse([f"{key}={values}"])[0])
    return merged + [o for o in overrides if o.key_or_group not in (STUDIES, *params)]


def _check_hydra_overrides(overrides: Sequence[Override]) -> None:
    """ConfigError for settings of Hydra that vbench reserves, and for several values of one of them."""
    for override in overrides:
        line, key = override.input_line or "", override.key_or_group
        if key.startswith(SWEEPER_PARAMS):
            swept, _, values = line.partition(SWEEPER_PARAMS)[2].lstrip(".").partition("=")
            example = f"{swept}={unquoted(values)}" if swept else "mode=chunked,combined"
            raise ConfigError(
                f"{line}: sweep on the command line instead: --multirun {shell_quoted(example)}."
            )
        if key.startswith(RESERVED_HYDRA_KEYS):
            raise ConfigError(
                f"{line}: vbench runs its sweeps itself, trial N in the folder N; leave it out."
            )
        if key == "hydra.searchpath":
            raise ConfigError(f"{line}: give the folder of your option files with --config-dir DIR.")
        if override.is_sweep_override():
            raise ConfigError(
                f"{line}: this key takes one value; if it has a comma, quote it: {_as_one_value(line)}."
            )


def _check_folders(of_hydra: Sequence[Override]) -> None:
    """ConfigError for a folder without a name, which would be the current one."""
    for override in of_hydra:
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


def _first_value(override: Override) -> str:
    """The first value that an override gives, or its only one."""
    if override.is_sweep_override():
        return next(iter(override.sweep_string_iterator()))
    return str(override.value())


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
                raise ConfigError(
                    f"'{line}': a sweep has one number of blocks: give one, such as"
                    f" blocks={_first_value(override)}."
                )
            if key == "design":
                raise ConfigError(f"'{line}': a sweep has one design: give one, such as design=oneway.")
        if multirun and key == "block":
            raise ConfigError(f"'{line}': a sweep numbers its blocks itself; set how many with blocks=2.")
