"""The plan of a sweep: every arm once in each block, in random order; kept on disk, so that it can go on."""

import fcntl
import json
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbench import environment
from vbench.compose import Asked
from vbench.errors import ConfigError
from vbench.record import TRIAL, RecordError, Trial, read_trial, write_json
from vbench.schema import Config
from vbench.tracking import EARLIER, SWEEP
from vbench.trial import NOT_FINGERPRINTED, fingerprint
from vbench.validate import value_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One trial of a sweep that is to be run, or was."""

    folder: str
    """Its name within the sweep's folder."""
    block: int
    arm: str
    overrides: list[str]
    """Its whole command line, but what concerns Hydra itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """``sweep.json``: what was asked for and what came of it, written before the first trial."""

    sweep_id: str
    started: str
    """ISO 8601, UTC."""
    swept: list[str]
    """Keys with several values."""
    arguments: list[str]
    """The command line."""
    cwd: str
    """Where it was given; its relative paths start there."""
    blocks: int
    trials: list[Planned]
    """In running order."""


def order(arms: int, blocks: int, seed: int) -> list[list[int]]:
    """For each block the indices of all arms, shuffled; equal for equal seeds, however many blocks follow."""
    draw = random.Random(seed)
    return [draw.sample(range(arms), arms) for _ in range(blocks)]


def shown(keys: Sequence[str]) -> tuple[str, ...]:
    """Of ``keys``, those that make an arm's name; mode and runtime where none does."""
    kept = (key for key in keys if key == "label" or key.split(".")[0] not in NOT_FINGERPRINTED)
    return tuple(dict.fromkeys(kept)) or ("mode", "runtime")


def arm_of(config: Config, keys: Sequence[str]) -> dict[str, str]:
    """Key -> value as it is shown: the option chosen from a group, or the value itself."""
    return {key: _shown(config, key) for key in keys}


def _shown(config: Config, key: str) -> str:
    node = value_at(config, key.replace("/", "."))
    node = getattr(node, "name", node)
    if isinstance(node, float):
        return str(node).removesuffix(".0")
    return "null" if node is None else str(node)


def name_of(arm: Mapping[str, str]) -> str:
    """An arm in one line."""
    return " ".join(f"{key}={value}" for key, value in arm.items())


def plan(asked: Asked) -> list[Planned]:
    """All trials in running order; ConfigError where two arms bear one name."""
    keys = shown(asked.swept)
    names = [name_of(arm_of(config, keys)) for config in asked.arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two arms of the sweep are '{twice}'; give each value once, or add label=a,b to measure an arm"
            f" against itself."
        )
    first = asked.arms[0]
    rounds = order(len(names), first.blocks, first.load.seed)
    turns = [(block, arm) for block, arms in enumerate(rounds) for arm in arms]
    return [
        Planned(
            folder=str(number),
            block=block,
            arm=names[arm],
            overrides=[*asked.lines[arm], f"block={block}"],
        )
        for number, (block, arm) in enumerate(turns)
    ]


def in_words(folder: Path, sweep: Sweep, left: int) -> Iterator[str]:
    """The plan for a person: the arms by number, and the order in each block."""
    arms = sorted({planned.arm for planned in sweep.trials})
    rounds = "once" if sweep.blocks == 1 else f"once in each of {sweep.blocks} blocks"
    ran = len(sweep.trials) - left
    rest = f", of which {ran} ran before" if ran else ""
    yield f"{len(sweep.trials)} trials{rest}: {len(arms)} arms, each {rounds}, into {folder}"
    width = len(str(len(arms)))
    for number, arm in enumerate(arms, start=1):
        yield f"  {number:>{width}}  {arm}"
    for block in range(sweep.blocks):
        turns = [arms.index(planned.arm) + 1 for planned in sweep.trials if planned.block == block]
        yield f"order in block {block + 1}: {' '.join(map(str, turns))}"


def begin(folder: Path, asked: Asked, arguments: Sequence[str]) -> Sweep:
    """Plan it and write the plan; ConfigError where the folder holds a sweep or trials already."""
    sweep = Sweep(
        sweep_id=secrets.token_hex(8),
        started=environment.now(),
        swept=list(asked.swept),
        arguments=list(arguments),
        cwd=str(Path.cwd()),
        blocks=asked.arms[0].blocks,
        trials=plan(asked),
    )
    if (folder / SWEEP).exists():
        raise ConfigError(
            f"{folder} holds a sweep already: go on with it by resume={folder}, or give another"
            f" hydra.sweep.dir."
        )
    if any(folder.glob(f"*/{TRIAL}")):
        raise ConfigError(f"{folder} holds trials already; give another hydra.sweep.dir, or none.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SWEEP, sweep)
    except OSError as error:
        raise ConfigError(
            f"hydra.sweep.dir={folder} cannot be written to ({error.strerror}); give another."
        ) from error
    return sweep


def read(folder: Path) -> Sweep:
    """The sweep that a folder holds; ConfigError where it holds none that can go on."""
    path = folder / SWEEP
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"resume={folder}: there is no {SWEEP} in it: it is no sweep's folder.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"resume={folder}: {path} cannot be read: {error}.") from error
    try:
        return Sweep(**{**data, "trials": [Planned(**trial) for trial in data["trials"]]})
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"resume={folder}: its {SWEEP} is of another version of vbench; start a new sweep."
        ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the sweep's folder, so that no two processes run its trials; ConfigError where one does."""
    with (folder / SWEEP).open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder} is being run right now, by another process.") from error
        yield


def finished(folder: Path, sweep: Sweep) -> dict[str, Trial]:
    """Folder -> record of each trial that came to its end, valid or not: what was measured stays."""
    trials: dict[str, Trial] = {}
    for planned in sweep.trials:
        try:
            trial = read_trial(folder / planned.folder)
        except RecordError:
            continue
        if trial.status == "finished":
            trials[planned.folder] = trial
    return trials


def set_aside(folder: Path, planned: Planned) -> None:
    """Keep what was left of a trial that is run again, under ``earlier/``."""
    old = folder / planned.folder
    if not old.exists():
        return
    below = folder / EARLIER
    below.mkdir(exist_ok=True)
    number = 1 + sum(1 for _ in below.glob(f"{planned.folder}-*"))
    old.rename(below / f"{planned.folder}-{number}")


def check_same(folder: Path, sweep: Sweep, asked: Asked, trials: Mapping[str, Trial]) -> None:
    """ConfigError where what is left to run would not measure what ``trials`` have measured."""
    from vbench.analysis.same import CODE, MACHINE

    start_new = "start a new sweep"
    if plan(asked) != sweep.trials:
        raise ConfigError(
            f"resume={folder}: its command does not ask for the same trials any more (its study or conf/ has"
            f" changed); {start_new}."
        )
    configs = {tuple(line): config for line, config in zip(asked.lines, asked.arms, strict=True)}
    here = environment.describe()
    for planned in sweep.trials:
        if planned.folder not in trials:
            continue
        trial = trials[planned.folder]
        for name in (*CODE, *MACHINE):
            was, now = trial.environment.get(name), here[name]
            if was != now:
                remedy = f"check out {was} or {start_new}" if name == "git_revision" and was else start_new
                raise ConfigError(
                    f"resume={folder}: its trial {planned.folder} was measured with {name}"
                    f" {_brief(was, now)}, and here is {_brief(now, was)}: they could not be compared;"
                    f" {remedy}."
                )
        config = asdict(configs[tuple(planned.overrides[:-1])])
        if fingerprint(config) != trial.config_fingerprint:
            keys = ", ".join(_differing(config, trial.config))
            raise ConfigError(
                f"resume={folder}: the configuration of its trial {planned.folder} is another now ({keys}):"
                f" they could not be compared; {start_new}."
            )


def _brief(value: object, other: object) -> str:
    """A value; of a mapping only what differs from the other."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items() if v != other.get(k)) or "less"
    return str(value)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{prefix}{key}.")
        elif a != b and not (prefix == "" and key in NOT_FINGERPRINTED):
            yield f"{prefix}{key}"
