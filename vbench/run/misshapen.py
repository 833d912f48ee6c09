"""Finds parts of a configuration that are not what the schema says, which OmegaConf does not check."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints


def misshapen(node: Any, prefix: str = "") -> Iterator[str]:
    """A sentence for each part of a dataclass that an interpolation has replaced by something else."""
    hints = get_type_hints(type(node))
    for item in fields(node):
        yield from _part(getattr(node, item.name), hints[item.name], f"{prefix}{item.name}")


def _part(value: Any, hint: Any, key: str) -> Iterator[str]:
    kinds = get_args(hint) if get_origin(hint) is not dict else ()
    wanted = next((kind for kind in (hint, *kinds) if is_dataclass(kind) or get_origin(kind) is dict), None)
    if value is None or wanted is None:
        return
    of_dict = get_origin(wanted) is dict
    if not isinstance(value, dict if of_dict else wanted):
        yield f"{key} must have parts of its own, and is set to something else: set its parts one by one."
    elif of_dict:
        for name, part in value.items():
            yield from _part(part, get_args(wanted)[1], f"{key}.{name}")
    else:
        yield from misshapen(value, f"{key}.")
