"""The fingerprint of a configuration: equal for configurations that measure the same thing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

NOT_FINGERPRINTED = ("label", "block", "blocks", "design", "analysis", "outputs", "tracking")
"""Parts of a configuration that cannot change a result."""

ADDED_LATER: Sequence[tuple[str, Any]] = (
    ("runtime.env", {}),
    ("runtime.python", None),
    ("cluster.nodes.*.flow_mbps", None),
    ("cluster.nodes.*.count", None),
    ("cluster.events", []),
    ("cluster.deployments.*.nodes", []),
    ("workload", "video"),
    ("workload", "transfer"),  # load.name says so, too
    ("app", None),
    ("app.config", None),
    ("load.rate", None),
    ("load.rate_end", None),
    ("load.duration_s", 60.0),
    ("load.trace", None),
    ("load.speed", 1.0),
    ("load.in_flight_limit", 1000),
    ("load.objective", None),
)
"""Keys, or patterns of keys, that earlier records lack, and the value that means what those did. With that
value a key is left out."""


def fingerprint(config: Mapping[str, Any]) -> str:
    """Of a configuration as plain values, without the parts that cannot change a result; 16 hex digits."""
    kept = _kept({name: value for name, value in config.items() if name not in NOT_FINGERPRINTED})
    return hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=8).hexdigest()


def is_as_before(key: str, value: Any) -> bool:
    """Whether a key has the value that means what records without the key did."""
    return any(fnmatchcase(key, later) and value == before for later, before in ADDED_LATER)


def _kept(section: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    return {
        name: _kept(value, f"{above}{name}.") if isinstance(value, Mapping) else value
        for name, value in section.items()
        if not is_as_before(f"{above}{name}", value)
    }
