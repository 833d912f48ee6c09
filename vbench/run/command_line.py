"""The command line of ``vbench run``: its options, which are Hydra's, and its overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vbench.errors import ConfigError, nearest

SHORT = {
    "-c": "--cfg",
    "-p": "--package",
    "-i": "--info",
    "-m": "--multirun",
    "-cd": "--config-dir",
}
FLAGS = ("--multirun", "--resolve")
CHOICES: dict[str, tuple[str, ...]] = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
WITH_VALUE = (*CHOICES, "--package", "--config-dir")
ELSEWHERE = ("--help", "--version", "--shell-completion")
"""Options that ``vbench.cli.main`` serves before it comes to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command line of ``vbench run``, taken apart."""

    overrides: tuple[str, ...] = ()
    """KEY=VALUE arguments, as they were given."""
    is_multirun: bool = False
    config_dir: str | None = None
    """Folder of the user's own option files."""
    cfg: str | None = None
    """Which configuration is printed instead of running: ``job``, ``hydra`` or ``all``."""
    package: str | None = None
    """The part of it that is printed, as a dotted key."""
    is_resolved: bool = False
    """Whether its interpolations are replaced by their values."""
    info: str | None = None
    """What Hydra prints about the composition instead of running."""


@dataclass(slots=True)
class _Options:
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Take a command line apart; ConfigError for an unknown option, or one without its value."""
    options, overrides = _Options(), []
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        given, equals, value = argument.partition("=")
        name = SHORT.get(given, given)
        if name in FLAGS and not equals:
            options.flags.add(name)
        elif name in WITH_VALUE:
            options.values[name] = _checked(name, value if equals else next(waiting, ""))
        else:
            raise ConfigError(
                f"there is no option '{argument}': {nearest(given, [*FLAGS, *WITH_VALUE, *ELSEWHERE])}."
            )
    if (
        options.flags & {"--resolve"} | options.values.keys() & {"--package"}
        and "--cfg" not in options.values
    ):
        raise ConfigError("--package and --resolve say how to print a configuration: add --cfg job.")
    return CommandLine(
        overrides=tuple(overrides),
        is_multirun="--multirun" in options.flags,
        config_dir=options.values.get("--config-dir"),
        cfg=options.values.get("--cfg"),
        package=options.values.get("--package"),
        is_resolved="--resolve" in options.flags,
        info=options.values.get("--info"),
    )


def config_dir(arguments: Sequence[str]) -> str | None:
    """The value of ``--config-dir`` among arguments that may be wrong otherwise; None if it is not given."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if SHORT.get(name, name) == "--config-dir":
            return value if equals else following
    return None


def _checked(name: str, value: str) -> str:
    """The value of an option; ConfigError if it is missing or not one of those that there are."""
    choices = CHOICES.get(name)
    if not value:
        if name == "--info":
            return "all"
        example = f": {', '.join(choices)}" if choices else ""
        raise ConfigError(f"{name} needs a value{example}.")
    if choices is not None and value not in choices:
        raise ConfigError(f"{name} {value} does not exist: {nearest(value, choices)}.")
    return value
