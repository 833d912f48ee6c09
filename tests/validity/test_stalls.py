"""A client, a sampler, a node or a machine that stood still is found, whoever stopped it."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.support import records
from tests.support.waiting import came_true, until
from tests.validity import parts
from vbench.linux import procfs
from vbench.record.harness import Stall
from vbench.record.measurements import Measurements
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.trial import Rule
from vbench.telemetry.machine import CpuWatch
from vbench.telemetry.stall_watch import StallWatch, _Gap
from vbench.validity import stalls

STOPPED_S = 1.2

WATCHES = """
import sys
from vbench.telemetry.stall_watch import StallWatch
watch = StallWatch("client")
with watch.running():
    print("up", flush=True)
    sys.stdin.readline()
print(watch.worst().worst_ms, watch.worst().stood_ms)
"""


def judged(**changes: Any) -> Rule | None:
    given: dict[str, Any] = {
        "load": parts.config().load,
        "load_report": parts.load_report(),
        "requests": [records.request(index) for index in range(8)],  # 9 s from due to done
        "harness": parts.harness(),
        "nodes": [records.sample(at) for at in (100.0, 101.1, 102.0)],
        "machines": [records.machine(at) for at in (100.0, 101.1, 102.0)],
    }
    given |= changes
    lines = {name: given.pop(name) for name in ("requests", "nodes", "machines")}
    return next(stalls.judge(**given, measured=Measurements(**lines)), None)


def test_a_stopped_process_is_a_gap_of_its_heartbeat() -> None:
    """SIGSTOP from outside, for long enough to be told from a busy machine."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    came_true(lambda: False, STOPPED_S)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate("\n", timeout=60)
    worst_ms, stood_ms = map(float, output.split())
    assert worst_ms >= 1000 * STOPPED_S
    # The kernel does not count it as waiting for a CPU.
    assert stood_ms >= 0.9 * 1000 * STOPPED_S


def test_a_thread_that_waits_for_a_cpu_does_not_stand_still() -> None:
    """Ten busy processes on one CPU, which the watch shares with them."""
    spin = [sys.executable, "-c", "while True: pass"]
    cpu = min(os.sched_getaffinity(0))

    def bind() -> None:
        os.sched_setaffinity(0, {cpu})

    busy = [subprocess.Popen(spin, preexec_fn=bind) for _ in range(10)]  # noqa: PLW1509 - no threads here
    try:
        watch = subprocess.Popen(
            [sys.executable, "-c", WATCHES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=bind,  # noqa: PLW1509
        )
        assert watch.stdout is not None
        watch.stdout.readline()
        came_true(lambda: False, STOPPED_S)
        output, _ = watch.communicate("\n", timeout=60)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    worst_ms, stood_ms = map(float, output.split())
    assert stood_ms <= 0.5 * worst_ms + 100


def test_a_stopped_process_of_the_trial_is_named_and_one_of_others_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as ours, subprocess.Popen(["sleep", "60"]) as other:
        for process in (ours, other):
            process.send_signal(signal.SIGSTOP)
            until(lambda pid=process.pid: procfs.stat(pid).state == "T", "it is stopped")
        assert CpuWatch([ours.pid]).sample().stopped == (f"sleep ({ours.pid})",)
        for process in (ours, other):
            process.send_signal(signal.SIGKILL)


def test_a_watch_tells_only_of_the_time_asked_for() -> None:
    watch = StallWatch("client")
    # What a machine that was suspended leaves.
    watch._gaps = [
        _Gap(at_s=10.0, passed_s=2.0, suspended_s=0.0, stood_s=1.5),
        _Gap(at_s=20.0, passed_s=5.0, suspended_s=4.0, stood_s=None),
    ]
    watch._wakes, watch._counts = 2, True
    assert watch.worst(5.0, 12.0).worst_ms == 2000
    assert watch.worst(5.0, 12.0).stood_ms == 1500
    assert watch.worst(12.0, 30.0) == Stall(
        where="client", worst_ms=5000, suspended_ms=4000, at_s=20.0, wakes=2, stood_ms=0.0
    )
    # Of the second gap one second was before the clock stood still: it began at 19.
    assert watch.worst(11.0, 18.5).at_s is None


def test_a_trial_that_nothing_stopped_keeps_the_rule() -> None:
    rule = judged()
    assert rule is not None
    assert rule.passed
    assert "limit 1000 ms" in rule.observed


def test_a_record_of_before_has_no_such_rule() -> None:
    assert judged(harness=None) is None
    assert judged(load_report=records.load_report()) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"load_report": parts.load_report(stalls=(Stall(where="client", worst_ms=6050, wakes=9),))},
            "6050 ms (client)",
        ),
        (
            {"harness": parts.harness(stalls=(Stall(where="harness", worst_ms=1001, wakes=9),))},
            "1001 ms (harness)",
        ),
        (
            {"load_report": parts.load_report(stalls=(Stall(where="agent of gpu", worst_ms=9e3, wakes=9),))},
            "9000 ms (agent of gpu)",
        ),
        (
            {"load_report": parts.load_report(stalls=(Stall(where="client", worst_ms=0, wakes=0),))},
            "not observed: client",
        ),
        (
            {
                "load_report": parts.load_report(stalls=(Stall(where="client", worst_ms=3000, wakes=9),)),
                "nodes": [records.sample(100.0), records.sample(107.0)],
            },
            "6000 ms (samples of node head), limit 1000 ms; also too long: client 3000 ms",
        ),
        ({"nodes": [records.sample(100.0), records.sample(107.0)]}, "6000 ms (samples of node head)"),
        ({"machines": [records.machine(100.0), records.machine(107.0)]}, "6000 ms (samples of machine host)"),
        (
            {"machines": [records.machine(100.0), records.machine(101.0, stopped=("raylet (7)",))]},
            "stopped by a signal or a debugger: raylet (7)",
        ),
        (
            {
                "load_report": parts.load_report(
                    stalls=(Stall(where="client", worst_ms=8000, suspended_ms=7900, wakes=9),)
                )
            },
            "suspended for 7900 ms",
        ),
    ],
)
def test_whatever_stood_still_breaks_the_rule_and_is_named(changes: dict[str, Any], said: str) -> None:
    rule = judged(**changes)
    assert rule is not None
    assert not rule.passed
    assert said in rule.observed
    assert "load.max_stall_ms" in rule.remedy


def test_the_bound_is_the_configurations() -> None:
    slow = parts.load_report(stalls=(Stall(where="client", worst_ms=1500, wakes=9),))
    rule = judged(load_report=slow, load=parts.config(max_stall_ms=2000).load)
    assert rule is not None
    assert rule.passed


@pytest.mark.parametrize(
    ("measured_s", "worst_ms", "passed"),
    [
        (96.3, 1937, True),  # honest trials on two busy cores: 2% of the time
        (96.3, 2900, False),
        (19.0, 1001, False),
        (19.0, 6050, False),  # latency 3.2 s became 4.3 s
        (300.0, 6050, True),
        (300.0, 9100, False),
    ],
)
def test_a_stop_is_bounded_by_its_share_of_a_long_trial(
    measured_s: float, worst_ms: float, passed: bool
) -> None:
    rule = judged(
        load_report=parts.load_report(stalls=(Stall(where="client", worst_ms=worst_ms, wakes=9),)),
        requests=[records.request(0), records.request(1, done_s=100.0 + measured_s)],
    )
    assert rule is not None
    assert rule.passed is passed
    assert ("3% of the measured time" in rule.observed) is (measured_s > 1 / 0.03)


def test_samples_of_each_node_are_told_apart() -> None:
    nodes: list[NodeSample] = [
        records.sample(at, node=node) for at, node in ((100, "a"), (100.9, "b"), (101, "a"), (101.9, "b"))
    ]
    machines: list[MachineSample] = []
    rule = judged(nodes=nodes, machines=machines)
    assert rule is not None
    assert rule.passed


def test_many_short_stops_break_the_rule_together() -> None:
    """Each of them is within the bound: 22 of 0.3 s in a trial of 9 s."""
    pulsed = Stall(where="client", worst_ms=368, wakes=100, stood_ms=6600)
    rule = judged(load_report=parts.load_report(stalls=(pulsed,)))
    assert rule is not None
    assert not rule.passed
    assert "client stalled for 6600 ms in total" in rule.observed
