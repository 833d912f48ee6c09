"""What the nodes' NICs sent and received while requests were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.record.samples import NodeSample


@dataclass(frozen=True, slots=True, kw_only=True)
class NicBytes:
    """Bytes through one node's NIC, headers included."""

    sent: int
    received: int


def objects_sent(samples: Sequence[NodeSample]) -> dict[str, int]:
    """Node -> bytes that its object manager sent to others between its first and last sample, without
    headers."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for sample in samples:
        last[sample.node] = sum(sample.object_bytes.values())
        first.setdefault(sample.node, last[sample.node])
    return {name: last[name] - before for name, before in first.items()}


def nic_bytes(samples: Sequence[NodeSample]) -> dict[str, NicBytes]:
    """Node -> bytes between its first and last sample; empty for a single node."""
    first: dict[str, NodeSample] = {}
    last: dict[str, NodeSample] = {}
    for sample in samples:
        first.setdefault(sample.node, sample)
        last[sample.node] = sample
    if len(first) < 2:
        return {}
    return {
        name: NicBytes(
            sent=last[name].nic_sent_bytes - before.nic_sent_bytes,
            received=last[name].nic_received_bytes - before.nic_received_bytes,
        )
        for name, before in first.items()
    }
