"""Each rule of validity breaks for its own reason, and says which."""

from typing import Any

import pytest

from tests.support import records
from vbench.ray_internals.object_manager import ENABLE_VARIABLE
from vbench.record.load_report import Connections, NodeRuntime
from vbench.record.measurements import Measurements
from vbench.record.samples import MachineSample
from vbench.record.trial import Rule
from vbench.validity import trial_checks
from vbench.validity.links_set_the_pace import objects_on_links
from vbench.validity.rules import judge


def broken(**changes: Any) -> list[str]:
    config = records.config("load.requests=3", "load.concurrency=3")
    parts: dict[str, Any] = {
        "load_report": records.load_report(),
        "requests": [records.request(i) for i in range(3)],
        "nodes": [records.sample(at) for at in (100.0, 101.0, 105.0)],
        "machines": [records.machine(at) for at in (100.0, 101.0, 105.0)],
        "spans": [],
        "network": None,
    }
    parts |= changes
    load_report = parts.pop("load_report")
    measured = Measurements(**parts)
    rules = judge(config, load_report, measured)
    # On who answered, what ran and what must balance: tests/validity has records for these.
    others = (
        {rule.name for rule in trial_checks.judge(config, load_report, measured, None)}
        if load_report
        else set()
    )
    return [rule.name for rule in rules if not rule.passed and rule.name not in others]


def test_a_right_trial_keeps_all_rules() -> None:
    assert broken() == []


def test_a_trial_that_did_not_finish_is_not_valid() -> None:
    assert broken(load_report=None) == ["finished"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"error": "HTTP 500: no", "status": 500}, "every request was answered"),
        ({"frames_wrong": 1, "mismatch": "frame 3"}, "frames are identical to the reference pass"),
        ({"detections_wrong": 1, "mismatch": "x"}, "detections agree with the reference pass"),
        ({"sent_s": 101.0}, "the client was on time"),
    ],
)
def test_one_wrong_request_breaks_its_rule(changes: dict[str, Any], name: str) -> None:
    requests = [records.request(0, **changes), records.request(1), records.request(2)]
    assert broken(requests=requests) == [name]


def test_a_request_that_is_missing_breaks_the_rule() -> None:
    assert "every request was answered" in broken(requests=[records.request(0)])


def test_flags_other_than_asked_break_the_rule() -> None:
    name = "the runtime flags are in force"
    one = NodeRuntime(node="head", raylet_pid=1, flags={ENABLE_VARIABLE: "0"})
    assert broken(load_report=records.load_report(flags_found=[one])) == [name]
    assert broken(load_report=records.load_report(flags_requested={ENABLE_VARIABLE: "0"})) == [name]


def test_flags_that_were_not_seen_on_every_node_are_not_proven() -> None:
    name = "the runtime flags are in force"
    assert broken(load_report=records.load_report(flags_found=[])) == [name]
    unread = NodeRuntime(node="head", raylet_pid=1, flags=None)
    assert broken(load_report=records.load_report(flags_found=[unread])) == [name]
    read = NodeRuntime(node="head", raylet_pid=1, flags={})
    assert broken(load_report=records.load_report(flags_found=[read, read])) == [name]


@pytest.mark.parametrize("where", ["spilled_mb", "fallback_mb"])
def test_objects_on_disk_break_the_rule(where: str) -> None:
    nodes = [records.sample(100.0), records.sample(101.0, **{where: 1.0})]
    assert broken(nodes=nodes) == ["nothing was spilled to disk"]


def test_a_busy_machine_breaks_the_rule_though_no_process_stands_out() -> None:
    machines = [records.machine(100.0), records.machine(110.0, cpu_idle_s=42.0, foreign_process=None)]
    assert broken(machines=machines) == ["nothing else used the CPU"]


def test_of_several_machines_the_busiest_with_others_breaks_the_rule() -> None:
    """Each with its own samples, however they are mixed; a machine with one sample proves nothing."""

    def samples(name: str, **changes: Any) -> list[MachineSample]:
        return [records.machine(100.0, machine=name), records.machine(110.0, machine=name, **changes)]

    quiet, busy = samples("quiet"), samples("busy", cpu_idle_s=42.0, foreign_process=None)
    mixed = [quiet[0], busy[0], busy[1], quiet[1]]
    assert broken(machines=mixed) == ["nothing else used the CPU"]
    assert broken(machines=[*quiet, *samples("quiet too")]) == []
    assert broken(machines=[*quiet, busy[0]]) == ["nothing else used the CPU"]


@pytest.mark.parametrize("off_s", [0.03, -0.03])
def test_clocks_that_disagree_break_the_rule(off_s: float) -> None:
    assert broken(load_report=records.load_report(clocks_off_s={"head": 0.0, "gpu": 0.001})) == []
    # Neither is far from the head's.
    off = records.load_report(clocks_off_s={"head": 0.0, "gpu": off_s / 2, "decode": -off_s / 2})
    assert broken(load_report=off) == ["the nodes' clocks agree"]


@pytest.mark.parametrize("kills", [1, None])
def test_memory_that_ran_out_or_is_not_watched_breaks_the_rule(kills: int | None) -> None:
    assert broken(load_report=records.load_report(oom_kills=kills)) == [
        "no process was killed for lack of memory"
    ]


def test_no_sample_proves_nothing() -> None:
    assert broken(nodes=[]) == ["nothing was spilled to disk"]
    assert broken(machines=[]) == ["nothing else used the CPU"]
    assert broken(machines=[records.machine(99.0)]) == ["nothing else used the CPU"]


RUNTIME = "the runtime flags are in force"
PIECE = 5 * 2**20


def five_nodes(*pairs: Connections, **changes: Any) -> Rule:
    """The runtime's rule for an emulated cluster whose flags were found on every node."""
    config = records.config("cluster=emulated")
    raylets = [NodeRuntime(node=name, raylet_pid=1, flags={}) for name in config.cluster.nodes]
    load_report = records.load_report(**({"flags_found": raylets, "connections": list(pairs)} | changes))
    rules = judge(config, load_report, Measurements())
    return next(rule for rule in rules if rule.name == RUNTIME)


def pair(expected: int, found: int, moved_bytes: int = 10**10) -> Connections:
    return Connections(
        sender="decode", receiver="gpu", expected=expected, established=found, moved_bytes=moved_bytes
    )


def test_connections_as_asked_for_keep_the_rule() -> None:
    rule = five_nodes(pair(15, 15))
    assert rule.passed
    assert "15 connections from decode to gpu" in rule.observed


@pytest.mark.parametrize("found", [0, 2, 14, 16])
def test_other_connections_than_asked_for_break_the_rule(found: int) -> None:
    rule = five_nodes(pair(15, 15), pair(15, found))
    assert not rule.passed
    assert f"{found} connections from decode to gpu instead of 15" in rule.observed


def test_bytes_too_few_to_open_all_connections_are_named() -> None:
    few = five_nodes(pair(15, 9, moved_bytes=30 * PIECE - 1))
    assert not few.passed
    assert "too few to open all connections" in few.observed
    assert "load.warmup" in few.remedy
    assert "too few" not in five_nodes(pair(15, 9, moved_bytes=30 * PIECE)).observed
    assert "too few" not in five_nodes(pair(2, 15, moved_bytes=1)).observed
    assert five_nodes(pair(15, 15, moved_bytes=PIECE)).passed


def of_application(*pairs: Connections) -> Rule:
    """The same rule for an application."""
    config = records.config("cluster=emulated", "workload=app", "app.import_path=a:b")
    raylets = [NodeRuntime(node=name, raylet_pid=1, flags={}) for name in config.cluster.nodes]
    load_report = records.load_report(flags_found=raylets, connections=list(pairs))
    rules = judge(config, load_report, Measurements())
    return next(rule for rule in rules if rule.name == RUNTIME)


def test_connections_of_an_application_are_counted_where_enough_moved_to_open_them() -> None:
    few = of_application(pair(15, 9, moved_bytes=30 * PIECE - 1))
    assert few.passed
    assert "too few bytes moved between nodes to open all connections" in few.observed
    assert not of_application(pair(15, 9, moved_bytes=30 * PIECE)).passed
    assert not of_application(pair(2, 15, moved_bytes=2)).passed
    counted = of_application(pair(15, 15, moved_bytes=30 * PIECE), pair(15, 3, moved_bytes=PIECE))
    assert counted.passed
    assert counted.observed.endswith("; 15 connections from decode to gpu")


def test_every_node_has_one_raylet_of_its_own() -> None:
    twice = [NodeRuntime(node="head", raylet_pid=pid, flags={}) for pid in range(5)]
    assert not five_nodes(pair(2, 2), flags_found=twice).passed


def test_nodes_between_which_nothing_moved_prove_no_setting() -> None:
    rule = five_nodes()
    assert not rule.passed
    assert "no frames moved between nodes" in rule.observed


@pytest.mark.parametrize(
    ("cold", "wrong"), [(None, []), ([], []), (["VideoDecoder"], ["every replica was warm"])]
)
def test_a_replica_without_warm_up_breaks_the_rule(cold: list[str] | None, wrong: list[str]) -> None:
    assert broken(load_report=records.load_report(cold_deployments=cold)) == wrong


def test_an_emulated_trial_is_held_to_its_links_as_well() -> None:
    network = records.network("decode", "gpu")
    assert "transfers waited for the shaped links" in broken(network=network)


@pytest.mark.parametrize(("nic_mb", "passed"), [(11, True), (7, False)])
def test_objects_of_an_application_go_over_the_links(nic_mb: int, passed: bool) -> None:
    samples = [
        records.sample(at_s, nic_sent_bytes=nic * 10**6, object_bytes={"gpu": mb * 10**6})
        for at_s, nic, mb in ((1.0, 2, 1), (2.0, 2 + nic_mb, 11))
    ]
    samples += [records.sample(at_s, node="gpu") for at_s in (1.0, 2.0)]
    rule = objects_on_links(samples)
    assert rule.passed == passed
    assert ("head sent 10.0 MB, and its link carried 7.0 MB" in rule.observed) != passed
