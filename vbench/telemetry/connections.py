"""Connections between nodes: the number that the runtime setting asks for, and the number counted."""

from collections.abc import Iterable, Mapping

from vbench.record.load_report import Connections
from vbench.record.samples import NodeSample

LEAST_BYTES = 2**20
"""What raylets say to each other, without objects, is less."""


def moved_by_object_managers(samples: Iterable[NodeSample]) -> dict[tuple[str, str], int]:
    """(sender, receiver) -> bytes over the connections to the receiver's object manager since the cluster is
    up, where these were objects: for a graph of which it is not known what must move."""
    last = {sample.node: sample for sample in samples}
    return {
        (node, peer): moved
        for node, sample in last.items()
        for peer, moved in sample.object_bytes.items()
        if moved >= LEAST_BYTES
    }


def connections(
    expected: int, moved_bytes: Mapping[tuple[str, str], int], samples: Iterable[NodeSample]
) -> list[Connections]:
    """For each (sender, receiver) between which frames had to move: the most connections in any sample.

    Ray pushes: the bytes go over the sender's connections to the receiver's object manager. They open one
    at a time, with each chunk that is sent, and idle out after 30 minutes, so the most is what there was.
    """
    most: dict[tuple[str, str], int] = {}
    for sample in samples:
        for peer, count in sample.connections.items():
            way = (sample.node, peer)
            most[way] = max(most.get(way, 0), count)
    return [
        Connections(
            sender=sender,
            receiver=receiver,
            expected=expected,
            established=most.get((sender, receiver), 0),
            moved_bytes=moved,
        )
        for (sender, receiver), moved in sorted(moved_bytes.items())
        if moved
    ]
