"""What the nodes' NICs sent while requests were measured."""

from collections.abc import Sequence

from vbench.record.samples import NodeSample


def sent_bytes(samples: Sequence[NodeSample]) -> dict[str, int]:
    """Node -> bytes that its NIC sent between its first and last sample; empty for a single node."""
    first: dict[str, NodeSample] = {}
    last: dict[str, NodeSample] = {}
    for sample in samples:
        first.setdefault(sample.node, sample)
        last[sample.node] = sample
    if len(first) < 2:
        return {}
    return {name: last[name].nic_sent_bytes - first[name].nic_sent_bytes for name in first}
