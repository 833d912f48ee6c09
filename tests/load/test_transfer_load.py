"""load=transfer: objects moved between two real Ray nodes, each with an address of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import ray
from ray import cluster_utils

from tests.support import records
from vbench.config.schema import ClusterConfig, Config, LoadConfig, NodeConfig
from vbench.config.transfer import problems, transfer_endpoints
from vbench.load.transfer_actors import TransferPair
from vbench.load.transfer_load import loop, request_line, span_lines
from vbench.pipeline.reports import ReplicaReport
from vbench.ray_internals.node_manager import NodeManagerClient
from vbench.record.measurements import Measurements
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.conservation import each_pull_once
from vbench.validity.rules import judge

STORE_BYTES = 100_000_000
TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class TwoNodes:
    address: str
    temp_dir: Path
    ids: dict[str, str]
    """Address -> Ray's node id."""

    def spilled_bytes(self) -> int:
        stats = []
        for node in ray.nodes():
            raylet = NodeManagerClient(node["NodeManagerAddress"], node["NodeManagerPort"])
            stats.append(raylet.object_store_stats(TIMEOUT_S)())
            raylet.close()
        return sum(store.spilled_bytes + store.fallback_bytes for store in stats)


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    temp_dir = Path(tempfile.mkdtemp(prefix="vt", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # Where Ray notes the address of a cluster that it started in-process; it does not make this folder.
        patch.setenv("RAY_TMPDIR", str(temp_dir))
        (temp_dir / "ray").mkdir()
        cluster = cluster_utils.Cluster()
        try:
            size = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
            cluster.add_node(
                temp_dir=str(temp_dir), include_dashboard=False, node_ip_address="127.0.0.2", **size
            )
            cluster.add_node(node_ip_address="127.0.0.3", **size)
            ray.init(cluster.address, logging_level="warning", log_to_driver=False)
            ids = {node["NodeManagerAddress"]: node["NodeID"] for node in ray.nodes()}
            yield TwoNodes(address=cluster.address, temp_dir=temp_dir, ids=ids)
        finally:
            ray.shutdown()
            cluster.shutdown()
            shutil.rmtree(temp_dir, ignore_errors=True)


@pytest.fixture
def pair(nodes: TwoNodes) -> Iterator[TransferPair]:
    sender, receiver = nodes.ids["127.0.0.3"], nodes.ids["127.0.0.2"]
    with TransferPair.between(
        sender, receiver, seed=1, objects=3, object_bytes=5_000_001, timeout_s=TIMEOUT_S
    ) as running:
        yield running


@pytest.mark.slow
def test_objects_arrive_whole_and_leave_both_stores(nodes: TwoNodes, pair: TransferPair) -> None:
    # Three times what a store holds goes through it: what was not let go would be spilled.
    moved = loop(pair, first=4, count=20, timeout_s=TIMEOUT_S, phase="requests")
    lines = [request_line(one, index) for index, one in enumerate(moved)]
    assert [line.index for line in lines] == list(range(20))
    assert {(r.frames_expected, r.frames_got, r.frames_wrong, r.frame_bytes) for r in lines} == {
        (3, 3, 0, 15_000_003)
    }
    assert {(r.status, r.error, r.mismatch) for r in lines} == {(200, None, None)}
    assert all(r.latency_s > 0 for r in lines)
    assert len({r.digest for r in lines}) == 20, "each request moves fresh objects"
    assert nodes.spilled_bytes() == 0


@pytest.mark.slow
def test_spans_say_which_node_sent_and_which_received(pair: TransferPair) -> None:
    moved = pair.move(0, TIMEOUT_S)
    made, pulled = span_lines(moved, 0, "decode", "gpu")
    assert (made.stage, made.kind, made.node, made.bytes) == ("decode", "compute", "decode", 0)
    assert (pulled.stage, pulled.kind, pulled.node, pulled.bytes) == ("infer", "transfer", "gpu", 15_000_003)
    assert made.start_s < made.end_s <= pulled.start_s < pulled.end_s


@pytest.mark.slow
def test_equal_seeds_move_equal_objects(pair: TransferPair) -> None:
    first, again, other = (pair.move(number, TIMEOUT_S).made.digests for number in (7, 7, 8))
    assert first == again
    assert not set(first) & set(other)


@pytest.mark.slow
def test_an_object_that_arrives_with_other_bytes_is_found(pair: TransferPair) -> None:
    moved = pair.move(0, TIMEOUT_S)
    sent = moved.made.digests
    flipped = replace(moved, made=replace(moved.made, digests=[sent[0], "0" * 32, sent[2]]))
    line = request_line(flipped, 0)
    assert line.error is None
    assert line.frames_wrong == 1
    assert line.mismatch == "object 1 of request 0 arrived with different bytes than were sent"


@pytest.mark.slow
def test_a_missing_object_is_found(pair: TransferPair) -> None:
    moved = pair.move(0, TIMEOUT_S)
    assert moved.arrived is not None
    fewer = replace(moved, arrived=replace(moved.arrived, digests=moved.arrived.digests[:2]))
    line = request_line(fewer, 3)
    assert line.frames_wrong == 1
    assert line.mismatch == "2 objects of request 3 arrived, but 3 were sent"


@pytest.mark.slow
def test_after_a_request_that_failed_none_is_sent(pair: TransferPair) -> None:
    ray.kill(pair.receiver)
    moved = loop(pair, first=0, count=5, timeout_s=TIMEOUT_S, phase="requests")
    (line,) = [request_line(one, index) for index, one in enumerate(moved)]
    assert line.status is None
    assert line.error is not None
    assert "ActorDiedError" in line.error
    assert (line.frames_got, line.frames_wrong) == (0, 0)
    assert [span.stage for span in span_lines(moved[0], 0, "a", "b")] == ["decode"]


def cluster(*resources: dict[str, float], store_mb: int = 2000) -> ClusterConfig:
    names = ("head", "a", "b", "c", "d")
    return ClusterConfig(
        name="emulated",
        nodes={
            name: NodeConfig(object_store_mb=store_mb, resources=dict(held))
            for name, held in zip(names, resources, strict=False)
        },
    )


INFER, DECODE, CHUNK = {"infer_only": 1.0}, {"decode_only": 1.0}, {"chunk_only": 1.0}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (({}, INFER, CHUNK, CHUNK, DECODE), ("d", "a")),
        (({}, DECODE, INFER), ("a", "b")),
        (({}, {}, {}, {}), ("c", "a")),
        (({}, {}), ("a", "head")),
        (({}, INFER), ("head", "a")),
        (({}, DECODE), ("a", "head")),
        (({}, {**DECODE, **INFER}, {}), ("a", "b")),
    ],
)
def test_objects_go_the_way_of_frames_where_nodes_have_roles(
    resources: tuple[dict[str, float], ...], expected: tuple[str, str]
) -> None:
    assert transfer_endpoints(cluster(*resources)) == expected


def transfer(nodes: ClusterConfig, **load: object) -> Config:
    values = {"name": "transfer", "concurrency": 1, **load}
    return Config(cluster=nodes, load=LoadConfig(**values))  # type: ignore[arg-type] # of mixed types


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (transfer(cluster({})), "needs two nodes"),
        (transfer(cluster({}, {}), concurrency=4), "load.concurrency=4"),
        (transfer(cluster({}, {}), objects=0), "load.objects=0"),
        (transfer(cluster({}, {}), object_mb=float("nan")), "load.object_mb=nan"),
        (transfer(cluster({}, {}, store_mb=500)), "cluster.nodes.a.object_store_mb=500"),
    ],
)
def test_what_cannot_be_moved_is_refused_in_one_sentence(config: Config, complaint: str) -> None:
    first = next(iter(problems(config)))
    assert complaint in first
    assert first.count(". ") == 0
    assert first.endswith(".")


def rules_of(*requests: Request) -> dict[str, Rule]:
    config = records.config("load=transfer", "cluster=emulated", "load.requests=2")
    judged = judge(config, records.load_report(), Measurements(requests=requests))
    return {rule.name: rule for rule in judged}


def test_rules_of_a_transfer_speak_of_objects() -> None:
    right = rules_of(records.request(0), records.request(1))
    assert right["objects arrived whole"].passed
    assert right["objects arrived whole"].observed == "8 objects, 0 wrong"
    assert not [name for name in right if "frames" in name or "detections" in name]
    wrong = rules_of(records.request(0, frames_wrong=1, mismatch="object 1"), records.request(1))
    assert not wrong["objects arrived whole"].passed
    assert "1 wrong; first: object 1" in wrong["objects arrived whole"].observed


def pulled(index: int, *numbers: int) -> Request:
    """A request that the receiver says were these pulls."""
    reports = [
        ReplicaReport(replica="Receiver", node="gpu", deployment_id="", settings={}, calls=[(number, 4, 0)])
        for number in numbers
    ]
    return records.request(index, replicas=reports)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([(4,), (5,), (6,)], ""),  # three to warm up
        ([(4,), (6,), (7,)], "request 1 was the receiver's pull 6 instead of 5"),
        ([(5,), (4,), (6,)], "request 0 was the receiver's pull 5 instead of 4"),
        ([(3,), (4,), (5,)], "request 0 was the receiver's pull 3 instead of 4"),
        ([(4,), (5, 6), (7,)], "request 1 was the receiver's pull 5 and 6 instead of 5"),
        ([(4,), (), (5,)], "request 1 was the receiver's pull (not recorded) instead of"),
    ],
)
def test_pulls_that_are_left_out_repeated_or_reordered_are_found(
    numbers: list[tuple[int, ...]], said: str
) -> None:
    requests = [pulled(index, *of_one) for index, of_one in enumerate(numbers)]
    assert said in next(each_pull_once(requests, warm_up=3), "")
    assert bool(said) == bool(list(each_pull_once(requests, warm_up=3)))


def test_what_fits_and_other_loads_have_no_problem() -> None:
    assert list(problems(transfer(cluster({}, {})))) == []
    assert list(problems(Config(load=LoadConfig(name="closed")))) == []
