"""The plan of a sweep: every arm once per block, in balanced random order; kept on disk to be resumed."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from vbench.config.designs import FULL
from vbench.config.quoting import resume_command
from vbench.config.schema import Config
from vbench.errors import ConfigError
from vbench.record.files import SWEEP, TRIAL, write_json
from vbench.record.looks import AUTO, Looks, planned_looks
from vbench.record.sweep_design import SweepDesign, sweep_design
from vbench.record.typed_json import MismatchError, loads, reader
from vbench.run.arm_names import arm_keys, arm_name, arm_settings, value_text
from vbench.run.block_order import order
from vbench.run.compose import Composition
from vbench.telemetry import environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One trial of a sweep, run or not."""

    folder: str
    """Its name within the sweep's folder."""
    block: int
    arm: str
    overrides: list[str]
    """Its whole command line, except settings of Hydra itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """``sweep.json``: the command and the plan of a sweep, written before its first trial."""

    sweep_id: str
    """Random; the order of its trials comes from it (and load.seed), so no two sweeps share one."""
    started: str
    """ISO 8601, UTC."""
    swept: list[str]
    """Keys with several values."""
    arguments: list[str]
    """The command line."""
    cwd: str
    """Where it was given; its relative paths start there."""
    blocks: int
    """Those that are planned so far."""
    trials: list[Planned]
    """In running order."""
    design: SweepDesign = field(default_factory=SweepDesign)
    """Which combinations of values its arms are."""
    looks: Looks = field(default_factory=Looks)
    """After how many blocks it looks at its results."""

    @property
    def most_blocks(self) -> int:
        """Those that it has if no look decides."""
        return self.blocks if self.looks.added else max((self.blocks, *self.looks.planned))


def plan(composition: Composition, sweep_id: str = "", blocks: int | None = None) -> list[Planned]:
    """All trials in running order, which ``sweep_id`` and load.seed decide; ConfigError if two arms have the
    same name. ``blocks``: by default those up to the first look."""
    keys = arm_keys(composition.swept, composition.configs[0])
    nameless = [key for key in composition.swept if key not in keys]
    if nameless:
        raise ConfigError(
            f"{nameless[0]} cannot be swept, because it does not affect results: give it one value."
        )
    names = [arm_name(arm_settings(config, keys)) for config in composition.configs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two arms of the sweep are '{twice}': give each value once, or add label=a,b to compare an arm"
            f" with itself."
        )
    _check_values(design_of(composition))
    first = composition.configs[0]
    rounds = order(len(names), blocks or looks_of(first)[0], f"{sweep_id} {first.load.seed}")
    turns = [(block, arm) for block, arms in enumerate(rounds) for arm in arms]
    return [
        Planned(
            folder=str(number),
            block=block,
            arm=names[arm],
            overrides=[*composition.arms[arm].overrides, f"block={block}"],
        )
        for number, (block, arm) in enumerate(turns)
    ]


def design_of(composition: Composition) -> SweepDesign:
    """The design of a sweep, with the values of its keys as its trials record them."""
    values: dict[str, tuple[str, ...]] = {}
    for position, key in enumerate(composition.swept):
        by_level = {arm.levels[position]: value_text(arm.config, key) for arm in composition.arms}
        values[key] = tuple(by_level[level] for level in sorted(by_level))
    return sweep_design(composition.configs[0].design, values)


def _check_values(design: SweepDesign) -> None:
    """ConfigError if two values of a key are the same, between which screening would find no difference.

    Other settings may distinguish the arms of a fraction even so.
    """
    for factor in design.factors if design.screens else ():
        same = next((value for value in factor.values if factor.values.count(value) > 1), None)
        if same is not None:
            raise ConfigError(f"two values of {factor.key} are '{same}': give each value once.")


def looks_of(config: Config) -> list[int]:
    """Numbers of blocks after which a sweep with this configuration looks at its results."""
    if isinstance(config.blocks, int):
        return [config.blocks]
    assert config.analysis.max_blocks is not None, "validated"
    return planned_looks(config.analysis.max_blocks)


def describe(folder: Path, sweep: Sweep, left: int) -> Iterator[str]:
    """The plan as text: the arms by number, and the order in each block."""
    arms = sorted({planned.arm for planned in sweep.trials})
    rounds = "once" if sweep.blocks == 1 else f"once in each of {sweep.blocks} blocks"
    ran = len(sweep.trials) - left
    rest = f", of which {ran} ran before" if ran else ""
    trials = f"{len(sweep.trials)} trial{'' if len(sweep.trials) == 1 else 's'}"
    of_arms = "1 arm" if len(arms) == 1 else f"{len(arms)} arms, each"
    yield f"{trials}{rest}: {of_arms} {rounds}, into {folder}"
    if len(sweep.looks.planned) > 1 and not sweep.looks.added:
        *looks, most = sweep.looks.planned
        yield (
            f"blocks=auto: it looks at its results after {', '.join(map(str, looks))} and {most} blocks, and"
            f" stops as soon as every row is decided"
        )
    if sweep.design.screens:
        yield sweep.design.summary
    width = len(str(len(arms)))
    for number, arm in enumerate(arms, start=1):
        yield f"  {number:>{width}}  {arm}"
    for block in range(sweep.blocks):
        turns = [arms.index(planned.arm) + 1 for planned in sweep.trials if planned.block == block]
        yield f"order in block {block + 1}: {' '.join(map(str, turns))}"


def create(folder: Path, composition: Composition, arguments: Sequence[str]) -> Sweep:
    """Plan a sweep and write the plan; ConfigError if the folder already holds a sweep or trials."""
    _check_decides(composition)
    sweep_id, looks = secrets.token_hex(8), looks_of(composition.configs[0])
    sweep = Sweep(
        sweep_id=sweep_id,
        started=environment.now(),
        swept=list(composition.swept),
        arguments=list(arguments),
        cwd=str(Path.cwd()),
        blocks=looks[0],
        trials=plan(composition, sweep_id),
        design=design_of(composition),
        looks=Looks(planned=tuple(looks)),
    )
    if (folder / SWEEP).exists():
        raise ConfigError(
            f"{folder} already holds a sweep: resume it with {resume_command(folder)}, or give another"
            f" hydra.sweep.dir."
        )
    if any(folder.glob(f"*/{TRIAL}")):
        raise ConfigError(f"{folder} already holds trials: give another hydra.sweep.dir, or none.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SWEEP, sweep)
    except OSError as error:
        raise ConfigError(
            f"hydra.sweep.dir={folder} cannot be written to ({error.strerror}): give another."
        ) from error
    return sweep


def _check_decides(composition: Composition) -> None:
    """ConfigError if blocks=auto would have nothing to decide."""
    first = composition.configs[0]
    if first.blocks != AUTO:
        return
    if first.design != FULL:
        raise ConfigError(
            f"blocks=auto decides between two arms, and design={first.design} asks for the effect of each"
            f" key: give a number, such as blocks=5."
        )
    from vbench.analysis.arms import DEFAULT_KEYS, VARIABLE

    if not any(key in DEFAULT_KEYS or key.startswith(VARIABLE) for key in composition.swept):
        keys = ", ".join(composition.swept) or "no key"
        raise ConfigError(
            f"blocks=auto decides between values of runtime, runtime.connections, runtime.python,"
            f" {VARIABLE}NAME or label, and the sweep varies {keys}: give a number, such as blocks=5."
        )


def extend(
    folder: Path, sweep: Sweep, composition: Composition, blocks: int, *, is_added: bool = False
) -> Sweep:
    """The sweep with more blocks, up to the next look, written to its folder.

    ``is_added``: whether the look was not planned. ConfigError if the folder cannot be written to.
    """
    looks = sweep.looks
    if is_added:
        planned = looks.planned or (sweep.blocks,)  # an older version did not write them
        looks = Looks(planned=planned, added=(*looks.added, blocks), ended=looks.ended or sweep.blocks)
    trials = plan(composition, sweep.sweep_id, blocks)
    assert trials[: len(sweep.trials)] == sweep.trials, "the order of a block does not depend on later ones"
    longer = replace(sweep, blocks=blocks, trials=trials, looks=looks)
    try:
        write_json(folder / SWEEP, longer)
    except OSError as error:
        raise ConfigError(f"{folder / SWEEP} cannot be written ({error.strerror}): make room.") from error
    return longer


def read(folder: Path) -> Sweep:
    """The sweep in a folder; ConfigError if there is none that can be resumed."""
    path = folder / SWEEP
    try:
        data = loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"resume={folder}: it is not the folder of a sweep, because it has no {SWEEP}: give one, such as"
            " resume=outputs/sweeps/TIME."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"resume={folder}: {path} cannot be read ({error}): restore it, or start a new sweep."
        ) from error
    try:
        sweep: Sweep = reader(Sweep)(data)
    except MismatchError as error:
        raise ConfigError(
            f"resume={folder}: its {SWEEP} is damaged or of another version of vbench ({error}): start a new"
            f" sweep."
        ) from error
    return sweep


@contextmanager
def lock_sweep(folder: Path) -> Iterator[None]:
    """Lock the folder, so that only one process runs its trials; ConfigError if another process does."""
    # The folder, since its files are replaced.
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process is running the sweep in {folder}: wait for it, or stop it."
            ) from error
        yield
    finally:
        os.close(held)
