"""Each rule of validity breaks for its own reason, and says which."""

from typing import Any

import pytest
import records

from vbench.record import NodeRuntime
from vbench.rules import judge
from vbench.runtimes import MULTIPLE


def broken(**changes: Any) -> list[str]:
    config = records.config("load.requests=3", "load.concurrency=3")
    parts: dict[str, Any] = {
        "observed": records.observed(),
        "requests": [records.request(i) for i in range(3)],
        "nodes": [records.sample(at) for at in (100.0, 101.0, 105.0)],
        "machines": [records.machine(at) for at in (100.0, 101.0, 105.0)],
        "spans": [],
        "network": None,
    }
    rules = judge(config, **(parts | changes))
    return [rule.name for rule in rules if not rule.holds]


def test_a_right_trial_keeps_all_rules() -> None:
    assert broken() == []


def test_a_trial_that_did_not_finish_is_not_valid() -> None:
    assert broken(observed=None) == ["finished"]


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
    one = NodeRuntime(node="head", raylet_pid=1, flags={MULTIPLE: "0"})
    assert broken(observed=records.observed(runtime_found=[one])) == [name]
    assert broken(observed=records.observed(runtime_asked={MULTIPLE: "0"})) == [name]


def test_flags_that_were_not_seen_on_every_node_are_not_proven() -> None:
    name = "the runtime flags are in force"
    assert broken(observed=records.observed(runtime_found=[])) == [name]
    unread = NodeRuntime(node="head", raylet_pid=1, flags=None)
    assert broken(observed=records.observed(runtime_found=[unread])) == [name]
    read = NodeRuntime(node="head", raylet_pid=1, flags={})
    assert broken(observed=records.observed(runtime_found=[read, read])) == [name]


@pytest.mark.parametrize("where", ["spilled_mb", "fallback_mb"])
def test_objects_on_disk_break_the_rule(where: str) -> None:
    nodes = [records.sample(100.0), records.sample(101.0, **{where: 1.0})]
    assert broken(nodes=nodes) == ["nothing was spilled to disk"]


def test_a_busy_machine_breaks_the_rule_though_no_process_stands_out() -> None:
    machines = [records.machine(100.0), records.machine(110.0, cpu_busy_s=178.0, foreign_process=None)]
    assert broken(machines=machines) == ["nothing else used the CPU"]


@pytest.mark.parametrize("kills", [1, None])
def test_memory_that_ran_out_or_is_not_watched_breaks_the_rule(kills: int | None) -> None:
    assert broken(observed=records.observed(oom_kills=kills)) == ["no process was killed for want of memory"]


def test_no_sample_proves_nothing() -> None:
    assert broken(nodes=[]) == ["nothing was spilled to disk"]
    assert broken(machines=[]) == ["nothing else used the CPU"]
    assert broken(machines=[records.machine(99.0)]) == ["nothing else used the CPU"]
