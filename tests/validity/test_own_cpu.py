"""CPU time of the trial's processes is recorded by role; roles that do no work on requests are bounded."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support import records
from tests.support.waiting import until
from tests.validity import honest
from vbench.linux import procfs
from vbench.record.samples import MachineSample
from vbench.record.trial import Rule
from vbench.telemetry.roles import RoleWatch, role_of
from vbench.validity.own_cpu import judge

NAME = "harness and Ray left the CPUs to the service"
BOUNDED = (
    "harness",
    "load process",
    "raylets",
    "GCS",
    "proxy",
    "controller",
    "Ray's agents",
    "other workers",
)

RECORD = honest.record(requests=6)


def samples(measured_s: float = 20.0, machine: str = "host", **used_s: float) -> list[MachineSample]:
    """Two, between which the roles used so much; underscores stand for blanks."""
    roles = {name.replace("_", " "): seconds for name, seconds in used_s.items()}
    before = dict.fromkeys(roles, 5.0)
    after = {role: 5.0 + seconds for role, seconds in roles.items()}
    return [
        records.machine(100.0, machine=machine, cpu_by_role_s=before),
        records.machine(100.0 + measured_s, machine=machine, cpu_by_role_s=after),
    ]


def judged(machines: Sequence[MachineSample], load: str = "closed") -> Rule:
    config = replace(RECORD.config, load=replace(RECORD.config.load, name=load))
    (rule,) = judge(config, replace(RECORD.measured, machines=machines))
    return rule


def test_a_trial_whose_replicas_have_the_cpus_holds() -> None:
    rule = judged(samples(VideoDecoder=38.0, proxy=0.8, load_process=0.4))
    assert rule.passed, rule
    assert rule.name == NAME
    assert rule.observed == "the proxy used the most CPU, 4% of a core"


@pytest.mark.parametrize("role", BOUNDED)
def test_a_role_that_spins_is_named(role: str) -> None:
    rule = judged(samples(**{role.replace(" ", "_"): 19.0}))
    assert not rule.passed
    assert f"the {role} used 19.0 s of CPU time in 20.0 s, limit " in rule.observed


def test_a_worker_that_ray_starts_ahead_of_need_is_no_alarm() -> None:
    assert judged(samples(2.0, other_workers=2.5)).passed


@pytest.mark.parametrize("measured_s", [2.0, 10.0, 100.0])
def test_half_a_core_is_too_much_and_a_sixth_is_not(measured_s: float) -> None:
    assert judged(samples(measured_s, controller=measured_s / 6)).passed
    assert not judged(samples(measured_s, controller=0.6 * measured_s)).passed


def test_workers_of_a_transfer_do_its_work() -> None:
    assert judged(samples(other_workers=19.0), load="transfer").passed


def test_a_role_counts_on_all_machines_together() -> None:
    machines = [*samples(GCS=4.0), *samples(machine="other", GCS=4.0)]
    assert not judged(machines).passed


def test_records_of_before_roles_were_told_are_not_judged() -> None:
    machines = [replace(one, cpu_by_role_s={}) for one in samples()]
    assert list(judge(RECORD.config, replace(RECORD.measured, machines=machines))) == []


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["/x/ray/core/src/ray/raylet/raylet", "--a=b"], "raylets"),
        (["/x/ray/core/src/ray/gcs/gcs_server"], "GCS"),
        (["/venv/bin/python", "/venv/bin/ray", "start", "--block"], "Ray's agents"),
        (["ray::ProxyActor"], "proxy"),
        (["ray::SERVE_PROXY_ACTOR-6b2a4205:ProxyActor.ready", "", ""], "proxy"),
        (["ray::SERVE_CONTROLLER_ACTOR:ServeController.listen_for_change"], "controller"),
        (
            ["ray::SERVE_REPLICA::vbench#VideoDecoder#090tr55o:ServeReplica:vbench:VideoDecoder.f"],
            "VideoDecoder",
        ),
        (["ray::SERVE_REPLICA::vbench#VideoDecoder#090tr55o"], "VideoDecoder"),
        (["ray::ServeController.run_control_loop"], "controller"),
        (["ray::ServeReplica:default:VideoDecoder"], "VideoDecoder"),
        (["ray::ServeReplica:default:VideoDecoder.handle_request_streaming()"], "VideoDecoder"),
        (["ray::IDLE"], "other workers"),
        (["/venv/bin/python", "/x/ray/_private/workers/default_worker.py", "--a"], "other workers"),
        (["/venv/bin/python", "-m", "vbench.load", "drive", "job.json"], "load process"),
        (["ffmpeg", "-i", "x"], None),
        ([], None),
    ],
)
def test_a_process_has_the_role_that_its_arguments_say(command: list[str], role: str | None) -> None:
    assert role_of(command) == role


CHILD = """
import subprocess, sys, time
end = time.process_time() + 0.3
while time.process_time() < end: pass
"""
PARENT = f"""
import subprocess, sys
for _ in range(2):
    subprocess.run([sys.executable, "-c", {CHILD!r}])
print("done", flush=True)
input()
"""


def test_what_children_used_is_their_parents_and_counts_once() -> None:
    """Seen while they run or not."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "vbench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        root = os.getpid()
        watch = RoleWatch([root])
        found: dict[str, float] = {}

        def looked() -> bool:
            stats = procfs.all_stats()
            nonlocal found
            found, own = watch.sample(stats, procfs.descendants(stats, [parent.pid]) | {root})
            assert own[parent.pid] == "load process"
            return found.get("load process", 0.0) >= 0.6

        try:
            looked()
            until(looked, "the children have used their time")
            assert parent.stdout is not None
            parent.stdout.readline()
            looked()
            line = procfs.stat(parent.pid)
        finally:
            parent.kill()
            parent.communicate()
    assert line is not None
    assert 0.6 <= found["load process"] <= line.cpu_s + 0.05
    assert found["harness"] >= 0


def test_the_first_look_counts_nothing_of_before() -> None:
    end_s = time.process_time() + 0.05
    while time.process_time() < end_s:
        pass
    stats = procfs.all_stats()
    found, _ = RoleWatch([os.getpid()]).sample(stats, {os.getpid()})
    assert found == {"harness": 0.0} or set(found.values()) == {0.0}
