"""Bytes through the nodes' NICs are those between the first and the last sample of each."""

from tests.support import records
from vbench.record.metrics import objects_between_nodes
from vbench.record.nic_bytes import NicBytes, nic_bytes, objects_moved, objects_sent


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


def test_objects_are_counted_by_sender_and_receiver_and_from_the_first_connection_on() -> None:
    samples = [
        records.sample(1.0, object_bytes={"gpu": 10 * 10**6}),
        records.sample(2.0, object_bytes={"gpu": 16 * 10**6, "decode": 4 * 10**6}),
        records.sample(1.0, node="gpu"),
        records.sample(2.0, node="gpu"),
    ]
    assert objects_moved(samples) == {("head", "gpu"): 6 * 10**6, ("head", "decode"): 4 * 10**6}
    assert objects_between_nodes(samples, requests=2) == {
        "objects_mb_per_request": 5.0,
        "objects_sent_mb_per_request.head": 5.0,
        "objects_received_mb_per_request.head": 0.0,
        "objects_sent_mb_per_request.gpu": 0.0,
        "objects_received_mb_per_request.gpu": 3.0,
    }
    assert objects_between_nodes([records.sample(1.0)], requests=2) == {}
