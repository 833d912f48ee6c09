"""Each rule of validity breaks for its own reason, and says which."""

from typing import Any

import pytest
import records

from vbench.record import NodeRuntime
from vbench.rules import judge
from vbench.runtimes import MULTIPLE
from vbench.schema import LoadConfig


def broken(**changes: Any) -> list[str]:
    load = LoadConfig(name="closed", requests=3)
    parts: dict[str, Any] = {
        "observed": records.observed(),
        "requests": [records.request(i) for i in range(3)],
        "samples": [records.sample(at) for at in (99.0, 101.0, 105.0)],
    }
    rules = judge(load, **(parts | changes))
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
    assert broken(observed=records.observed(runtime_found=[])) == [name]


def test_what_the_machine_did_breaks_its_rule() -> None:
    assert broken(samples=[records.sample(101.0, spilled_mb=1.0)]) == ["nothing was spilled to disk"]
    foreign = [records.sample(101.0, foreign_cpu_percent=6.0)]
    assert broken(samples=foreign) == ["nothing else used the CPU"]
    killed = records.observed(oom_kills=1)
    assert broken(observed=killed) == ["no process was killed for want of memory"]


def test_no_sample_proves_nothing() -> None:
    assert broken(samples=[]) == ["nothing was spilled to disk", "nothing else used the CPU"]
    assert broken(samples=[records.sample(99.0)]) == ["nothing else used the CPU"]
