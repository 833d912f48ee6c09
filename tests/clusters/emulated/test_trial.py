"""A whole trial on an emulated cluster: real Ray on five hosts, from the command line to the record."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.emulated import BETWEEN_ENDS, CHUNKERS, CONNECTIONS, EMULATED, NODES, SCALE, WHOLE, Machine
from tests.support.runs import Workplace
from vbench.analysis.bottleneck import find_bottleneck
from vbench.load.video_load import WARM_UP_ROUNDS
from vbench.record.files import read_machines, read_requests, read_samples, read_spans, read_trial
from vbench.record.load_report import LoadReport
from vbench.record.measurements import read_measurements
from vbench.record.network import LINK_TOLERANCE
from vbench.record.samples import NodeSample
from vbench.record.transfers import bytes_by_route, inter_node_transfers
from vbench.record.trial import Trial

pytestmark = pytest.mark.slow

FRAME_BYTES = 320 * 180 * 3


def test_a_trial_is_whole_and_proven(workplace: Workplace) -> None:
    machine = Machine.now()
    status, output = workplace.run(*EMULATED, *WHOLE)
    assert status == 0, output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert trial.valid
    assert trial.load_report is not None
    _flags_and_connections_are_proven(trial.load_report)
    _the_graph_is_where_the_configuration_says(trial.load_report, folder)
    _links_are_checked_and_recorded(trial)
    _samples_agree_with_what_had_to_move(trial, folder)
    requests = read_requests(folder)
    assert [request.frames_got for request in requests] == [80, 80, 80]
    transfers = inter_node_transfers(read_spans(folder))
    for request in requests:
        moved = bytes_by_route(one for one in transfers if one.request == request.index)
        assert moved["decode", "gpu"] == 80 * (FRAME_BYTES + 8)
        (chunks,) = set(moved) - {("decode", "gpu")}
        assert chunks in {(node, "decode") for node in CHUNKERS}
    assert trial.bottleneck == find_bottleneck(trial, read_measurements(folder, trial.network))
    assert workplace.left() == []
    assert machine.left() == []


def _flags_and_connections_are_proven(load_report: LoadReport) -> None:
    assert sorted(node.node for node in load_report.flags_found) == sorted(NODES)
    assert len({node.raylet_pid for node in load_report.flags_found}) == len(NODES)
    for node in load_report.flags_found:
        assert node.flags == {
            "RAY_experimental_object_manager_enable_multiple_connections": "1",
            "RAY_object_manager_client_connection_num": str(CONNECTIONS),
        }
    (pair,) = load_report.connections
    assert (pair.sender, pair.receiver) == ("decode", "gpu")
    assert (pair.expected, pair.established) == (CONNECTIONS, CONNECTIONS)
    # Three requests, and two to warm up, again until every replica is warm; each frame has its time beside
    # its pixels.
    requests, rest = divmod(pair.moved_bytes, 80 * (FRAME_BYTES + 8))
    assert rest == 0
    assert requests in range(5, 3 + 2 * WARM_UP_ROUNDS + 1, 2)


def _the_graph_is_where_the_configuration_says(load_report: LoadReport, folder: Path) -> None:
    assert load_report.placement["VideoProcessingAPI"] == {"head": 1}
    assert load_report.placement["VideoProcessingService"] == dict.fromkeys(CHUNKERS, 1)
    assert load_report.placement["VideoDecoder"] == {"decode": 2}
    assert load_report.placement["ModelInference"] == {"gpu": 1}
    by_stage = defaultdict(set)
    for span in read_spans(folder):
        by_stage[span.stage].add(span.node)
    assert by_stage["chunk"] <= CHUNKERS
    assert by_stage["decode"] == {"decode"}
    assert by_stage["infer"] == {"gpu"}


def _links_are_checked_and_recorded(trial: Trial) -> None:
    network = trial.network
    assert network is not None
    assert (network.scale, network.congestion_control) == (SCALE, "cubic")
    nodes = trial.config["cluster"]["nodes"]
    assert [link.node for link in network.links] == list(NODES)
    for link in network.links:
        assert link.nic_mbps * SCALE == pytest.approx(nodes[link.node]["nic_mbps"])
        assert link.flow_mbps * SCALE == pytest.approx(trial.config["cluster"]["flow_mbps"])
    single = [check for check in network.checks if check.flows == 1]
    several = [check for check in network.checks if check.flows > 1 and "+" not in check.sender]
    (fan_in,) = [check for check in network.checks if "+" in check.sender]
    assert (fan_in.sender, fan_in.receiver) == ("chunk1+chunk2", "gpu")
    assert fan_in.expected_mbps == pytest.approx(50000 / SCALE)
    for checks in (single, several):
        assert {check.sender for check in checks} == set(NODES)
        assert {check.receiver for check in checks} == set(NODES)
    assert all(check.expected_mbps == pytest.approx(10000 / SCALE) for check in single)
    by_pair = {(check.sender, check.receiver): check.expected_mbps for check in several}
    assert by_pair["chunk1", "chunk2"] == pytest.approx(25000 / SCALE)
    assert by_pair["head", "gpu"] == pytest.approx(12500 / SCALE)
    for check in network.checks:
        assert check.measured_mbps == pytest.approx(check.expected_mbps, rel=LINK_TOLERANCE)


def _samples_agree_with_what_had_to_move(trial: Trial, folder: Path) -> None:
    by_node: dict[str, list[NodeSample]] = defaultdict(list)
    for sample in read_samples(folder):
        by_node[sample.node].append(sample)
    assert set(by_node) == set(NODES)
    sent = {node: each[-1].nic_sent_bytes - each[0].nic_sent_bytes for node, each in by_node.items()}
    received = {
        node: each[-1].nic_received_bytes - each[0].nic_received_bytes for node, each in by_node.items()
    }
    frames = 3 * 80 * FRAME_BYTES
    for moved in (sent["decode"], received["gpu"]):
        # Headers and what Ray repeats come on top.
        assert frames < moved < 3 * frames
    for node in ("head", *CHUNKERS):
        assert sent[node] + received[node] < frames / 4, "frames do not pass here"
    for each in by_node.values():
        assert all(sample.link is not None for sample in each)
        assert each[-1].cpu_s > 0
        assert each[-1].memory_mb > 50
    last = by_node["decode"][-1].link
    assert last is not None
    assert last.out_waits > 0
    needed = sum(one.bytes for one in inter_node_transfers(read_spans(folder)))
    assert needed >= frames
    assert trial.metrics["sent_over_needed"] >= 1
    machines = read_machines(folder)
    assert len(machines) >= 2
    assert machines[-1].cpu_trial_s > machines[0].cpu_trial_s


@pytest.mark.long
def test_connections_that_were_not_opened_are_not_taken_for_proven(workplace: Workplace) -> None:
    few = ("load.requests=1", "load.objects=2", "runtime.connections=16")
    status, output = workplace.run(*BETWEEN_ENDS, *few)
    assert status == 1, output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("finished", False), output
    broken = {rule.name: rule for rule in trial.broken}
    assert "the runtime flags are in force" in broken, json.dumps([*broken])
    rule = broken["the runtime flags are in force"]
    assert " connections from decode to gpu instead of 16; " in rule.observed
    assert "too few to open all connections" in rule.observed
    assert "load.warmup" in rule.remedy
    said = " ".join(output.split())
    assert rule.name in said
    assert rule.remedy in said
    assert workplace.left() == []
