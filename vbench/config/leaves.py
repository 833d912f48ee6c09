"""A nested configuration as flat pairs of dotted key and value."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of each entry that is no mapping itself; ``above``: put before each key."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
