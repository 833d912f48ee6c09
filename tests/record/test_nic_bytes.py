"""Bytes through the nodes' NICs are those between the first and the last sample of each."""

from tests.support import records
from vbench.record.nic_bytes import NicBytes, nic_bytes, objects_sent


def test_the_bytes_of_each_node_are_counted_between_its_samples() -> None:
    head = [
        records.sample(at_s, nic_sent_bytes=100 + n, nic_received_bytes=n) for at_s, n in ((1.0, 0), (2.0, 7))
    ]
    gpu = [
        records.sample(at_s, node="gpu", nic_sent_bytes=n, nic_received_bytes=5)
        for at_s, n in ((1.0, 1), (2.0, 4))
    ]
    assert nic_bytes([*head, *gpu]) == {
        "head": NicBytes(sent=7, received=7),
        "gpu": NicBytes(sent=3, received=0),
    }
    assert nic_bytes(head) == {}


def test_what_object_managers_sent_is_summed_over_their_peers() -> None:
    samples = [
        records.sample(1.0, object_bytes={"gpu": 10, "decode": 5}),
        records.sample(2.0, object_bytes={"gpu": 110, "decode": 5}),
        records.sample(1.0, node="gpu"),
        records.sample(2.0, node="gpu"),
    ]
    assert objects_sent(samples) == {"head": 100, "gpu": 0}
