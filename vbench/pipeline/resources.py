"""How the record writes what Ray reserves for a replica on its node."""

from collections.abc import Mapping

IMPLICIT = "node:__internal_implicit_resource"
"""What Serve itself adds so that a node gets no more replicas than ``max_replicas_per_node``."""


def resources_text(resources: Mapping[str, float]) -> str:
    """``CPU=1 decode_only=0.0001``, by name and to Ray's four decimals; ``nothing`` where there are none."""
    rounded = {name: round(amount, 4) for name, amount in sorted(resources.items())}
    told = [
        f"{name}={amount:g}" for name, amount in rounded.items() if amount and not name.startswith(IMPLICIT)
    ]
    return " ".join(told) or "nothing"
