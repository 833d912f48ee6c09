"""The plan of a sweep: every arm once per block, in balanced random order; kept on disk to be resumed."""

import fcntl
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from vbench.config.cluster_shape import members
from vbench.config.quoting import resume_command
from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.errors import ConfigError
from vbench.record.files import SWEEP, TRIAL, write_json
from vbench.record.fingerprint import NOT_FINGERPRINTED
from vbench.record.sweep_design import SweepDesign, sweep_design
from vbench.record.typed_json import MismatchError, loads, reader
from vbench.run.compose import Composition
from vbench.run.value_ranges import value_at
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
    trials: list[Planned]
    """In running order."""
    design: SweepDesign = field(default_factory=SweepDesign)
    """Which combinations of values its arms are."""


def order(arms: int, blocks: int, seed: int | str) -> list[list[int]]:
    """For each block the indices of all arms: random, and balanced over the blocks.

    Every second block is the one before it backwards, so of each two arms either comes first equally often,
    and what drifts evenly over two blocks drops out. As many blocks as there are arms (twice as many for an
    odd number) make a Williams square (1949): every arm is at every place once (twice). Arms are dealt to
    each square at random, its pairs of blocks shuffled. Equal for equal seeds, however many blocks follow.
    """
    draw = random.Random(seed)
    orders: list[list[int]] = []
    while len(orders) < blocks:
        dealt = draw.sample(range(arms), arms)
        pairs = list(_williams(arms))
        draw.shuffle(pairs)
        for pair in pairs:
            orders += [[dealt[arm] for arm in row] for row in draw.sample(pair, len(pair))]
    return orders[:blocks]


def _williams(arms: int) -> Iterator[list[list[int]]]:
    """The rows of a Williams square, each with itself backwards: 0, 1, n - 1, 2, n - 2 ... and that plus 1 to
    n - 1, modulo n. Of an even n the second half of the rows are the first half backwards."""
    if arms == 1:
        yield [[0], [0]]
        return
    first = [0]
    for step in range(1, arms):
        first.append((step + 1) // 2 if step % 2 else arms - step // 2)
    for shift in range(arms // 2 if arms % 2 == 0 else arms):
        row = [(arm + shift) % arms for arm in first]
        yield [row, row[::-1]]


def single_keys(config: Config) -> tuple[str, ...]:
    """Keys that are in the name of every single trial: the runtime, and the mode if the workload has one."""
    return ("mode", "runtime") if workload_of(config) == VIDEO else ("runtime",)


def arm_keys(keys: Sequence[str], config: Config) -> tuple[str, ...]:
    """Of ``keys``, those that make an arm's name; those of a single trial if none does."""
    kept = (key for key in keys if key == "label" or key.split(".")[0] not in NOT_FINGERPRINTED)
    return tuple(dict.fromkeys(kept)) or single_keys(config)


def arm_settings(config: Config, keys: Sequence[str]) -> dict[str, str]:
    """Key -> value as it is shown: the option chosen from a group, or the value itself."""
    return {key: _value_text(config, key) for key in keys}


def _value_text(config: Config, key: str) -> str:
    try:
        node = value_at(config, key.replace("/", "."))
    except KeyError:
        return _of_group(config, key)
    if isinstance(node, list):
        return f"[{', '.join(map(_item_text, node))}]"
    node = getattr(node, "name", node)
    return "null" if node is None else _plain(node)


def _of_group(config: Config, key: str) -> str:
    """The value of a key of a group of nodes, which the configuration has written out; none for a node that
    the command line deletes."""
    *above, name, last = key.split(".")
    first = f"{name}1"
    if above != ["cluster", "nodes"] or first not in config.cluster.nodes:
        return "none"
    if last == "count":
        names = members(name, len(config.cluster.nodes))
        return str(sum(member in config.cluster.nodes for member in names))
    return _value_text(config, f"cluster.nodes.{first}.{last}")


def _item_text(item: Any) -> str:
    """An item of a list as the command line has it, without what is null."""
    if not is_dataclass(item):
        return str(item)
    values = {part.name: getattr(item, part.name) for part in fields(item)}
    return (
        f"{{{', '.join(f'{name}: {_plain(value)}' for name, value in values.items() if value is not None)}}}"
    )


def _plain(value: object) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def arm_name(arm: Mapping[str, str]) -> str:
    """An arm in one line."""
    return " ".join(f"{key}={value}" for key, value in arm.items())


def plan(composition: Composition, sweep_id: str = "") -> list[Planned]:
    """All trials in running order, which ``sweep_id`` and load.seed decide; ConfigError if two arms have the
    same name."""
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
    rounds = order(len(names), first.blocks, f"{sweep_id} {first.load.seed}")
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
        by_level = {arm.levels[position]: _value_text(arm.config, key) for arm in composition.arms}
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


def describe(folder: Path, sweep: Sweep, left: int) -> Iterator[str]:
    """The plan as text: the arms by number, and the order in each block."""
    arms = sorted({planned.arm for planned in sweep.trials})
    rounds = "once" if sweep.blocks == 1 else f"once in each of {sweep.blocks} blocks"
    ran = len(sweep.trials) - left
    rest = f", of which {ran} ran before" if ran else ""
    trials = f"{len(sweep.trials)} trial{'' if len(sweep.trials) == 1 else 's'}"
    of_arms = "1 arm" if len(arms) == 1 else f"{len(arms)} arms, each"
    yield f"{trials}{rest}: {of_arms} {rounds}, into {folder}"
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
    sweep_id = secrets.token_hex(8)
    sweep = Sweep(
        sweep_id=sweep_id,
        started=environment.now(),
        swept=list(composition.swept),
        arguments=list(arguments),
        cwd=str(Path.cwd()),
        blocks=composition.configs[0].blocks,
        trials=plan(composition, sweep_id),
        design=design_of(composition),
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
    with (folder / SWEEP).open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process is running the sweep in {folder}: wait for it, or stop it."
            ) from error
        yield
