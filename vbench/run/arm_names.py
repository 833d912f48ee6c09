"""What the arms of a sweep are called: by the keys that distinguish them, and their values."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from vbench.config.cluster_shape import members
from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.record.fingerprint import NOT_FINGERPRINTED
from vbench.run.value_ranges import value_at


def single_keys(config: Config) -> tuple[str, ...]:
    """Keys that are in the name of every single trial: the runtime, and the mode if the workload has one."""
    return ("mode", "runtime") if workload_of(config) == VIDEO else ("runtime",)


def arm_keys(keys: Sequence[str], config: Config) -> tuple[str, ...]:
    """Of ``keys``, those that make an arm's name; those of a single trial if none does."""
    kept = (key for key in keys if key == "label" or key.split(".")[0] not in NOT_FINGERPRINTED)
    return tuple(dict.fromkeys(kept)) or single_keys(config)


def arm_settings(config: Config, keys: Sequence[str]) -> dict[str, str]:
    """Key -> value as it is shown: the option chosen from a group, or the value itself."""
    return {key: value_text(config, key) for key in keys}


def value_text(config: Config, key: str) -> str:
    """The value of a key as it is shown: for a group the name of the chosen option."""
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
    return value_text(config, f"cluster.nodes.{first}.{last}")


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
