"""What the nodes' NICs and object managers sent and received while requests were measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.record.samples import NodeSample


@dataclass(frozen=True, slots=True, kw_only=True)
class NicBytes:
    """Bytes through one node's NIC, headers included."""

    sent: int
    received: int


def objects_moved(samples: Sequence[NodeSample]) -> dict[tuple[str, str], int]:
    """Sender and receiver -> bytes that the one's object manager sent to the other's between the sender's
    first and last sample, without headers; empty in records of earlier versions."""
    first: dict[str, Mapping[str, int]] = {}
    last: dict[tuple[str, str], int] = {}
    for sample in samples:
        first.setdefault(sample.node, sample.object_bytes)
        last |= {(sample.node, peer): nbytes for peer, nbytes in sample.object_bytes.items()}
    # A peer without a connection at first got nothing until then.
    return {(node, peer): nbytes - first[node].get(peer, 0) for (node, peer), nbytes in last.items()}


def objects_sent(samples: Sequence[NodeSample]) -> dict[str, int]:
    """Node -> bytes that its object manager sent to others between its first and last sample, without
    headers."""
    sent = {sample.node: 0 for sample in samples}
    for (sender, _), nbytes in objects_moved(samples).items():
        sent[sender] += nbytes
    return sent


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
