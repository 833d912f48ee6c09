"""The fingerprint of a configuration: equal for configurations that measure the same thing."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

NOT_FINGERPRINTED = ("label", "block", "blocks", "design", "outputs", "tracking")
"""Parts of a configuration that cannot change a result."""


def fingerprint(config: Mapping[str, Any]) -> str:
    """Of a configuration as plain values, without the parts that cannot change a result; 16 hex digits."""
    kept = {name: value for name, value in config.items() if name not in NOT_FINGERPRINTED}
    return hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=8).hexdigest()
