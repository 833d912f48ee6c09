"""A bound on the trial's CPUs that comes and goes while requests are measured breaks a rule."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import records
from tests.support.quota import cpu_quota
from tests.support.waiting import until
from tests.validity import parts
from vbench.linux import procfs
from vbench.record.samples import CpuBounds
from vbench.record.trial import Rule
from vbench.telemetry.cpu_bounds import CpuBoundsWatch
from vbench.validity import conditions

FOUND_THEN_LOST: dict[str, dict[str, Any]] = {
    "affinity of raylets (process 7) was": {
        "changed": ["affinity of raylets (process 7) was CPUs 0, 1, then CPUs 0"]
    },
    "the GCS (process 5) could run on only 1 CPUs": {"least_cpus": 1, "least_cpus_of": "GCS (process 5)"},
    "the GCS (process 5) had a quota of 0.5 CPUs": {"quota_cpus": 0.5, "quota_cpus_of": "GCS (process 5)"},
    "throttled the trial's control groups for 0.40 s": {"throttled_s": 0.4},
}


def judged(*bounds: CpuBounds | None, **load_report: Any) -> Rule:
    """By samples with these bounds."""
    machines = [records.machine(100.0 + at, bounds=one) for at, one in enumerate(bounds)]
    (rule,) = conditions.judge(
        parts.config(), parts.load_report(**load_report), parts.harness(**_harness(load_report)), machines
    )
    return rule


def _harness(load_report: dict[str, Any]) -> dict[str, Any]:
    if not load_report:
        return {}
    return {"conditions": {"harness": load_report["conditions"]["load process"], "harness's machine": {}}}


def test_processes_that_nobody_touched_hold() -> None:
    assert judged(records.bounds(), records.bounds()).passed


def test_records_of_before_bounds_were_sampled_hold() -> None:
    assert judged(None, None).passed


@pytest.mark.parametrize("said", FOUND_THEN_LOST)
def test_a_bound_at_one_sample_alone_is_named(said: str) -> None:
    rule = judged(records.bounds(), records.bounds(**FOUND_THEN_LOST[said]), records.bounds())
    assert not rule.passed
    assert said in rule.observed
    assert "taskset, renice, cgroups" in rule.remedy


def test_a_quota_that_stays_is_judged_by_what_the_configuration_counts_on() -> None:
    """A container's own: it throttles, and the trial counts on no more."""
    process = parts.process(quota_cpus=1.5, usable_cpus=1.5)
    conditions_then = {"load process": process, "raylet of head": process}
    throttled = records.bounds(quota_cpus=1.5, quota_cpus_of="harness (process 1)", throttled_s=3.0)
    rule = judged(throttled, throttled, conditions=conditions_then)
    assert "throttled" not in rule.observed
    assert "for some time" not in rule.observed


@contextmanager
def sleeping(count: int = 1) -> Iterator[list[int]]:
    started = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(count)
    ]
    try:
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.kill()
            one.communicate()


def look(watch: CpuBoundsWatch, *pids: int, begins: bool = False) -> CpuBounds:
    return watch.sample(procfs.all_stats(), dict.fromkeys(pids, "raylets"), begins=begins)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_an_affinity_that_is_set_and_lifted_is_seen_while_it_is_there() -> None:
    watch = CpuBoundsWatch()
    with sleeping() as (pid,):
        every = os.sched_getaffinity(pid)
        begun = look(watch, pid, begins=True)
        os.sched_setaffinity(pid, {min(every)})
        bound = look(watch, pid)
        os.sched_setaffinity(pid, every)
        lifted = look(watch, pid)
    assert (begun.least_cpus, begun.changed) == (len(every), ())
    assert (bound.least_cpus, bound.least_cpus_of) == (1, f"raylets (process {pid})")
    (change,) = bound.changed
    assert change.startswith(f"affinity of raylets (process {pid}) was CPUs ")
    assert change.endswith(f", then CPUs {min(every)}")
    assert lifted.changed == ()


def test_a_priority_that_changes_is_seen_and_that_of_a_new_process_is_its_own() -> None:
    watch = CpuBoundsWatch()
    with sleeping(2) as (old, new):
        look(watch, old, begins=True)
        os.setpriority(os.PRIO_PROCESS, old, 19)
        os.sched_setscheduler(old, os.SCHED_BATCH, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, new, 19)
        changed = look(watch, old, new).changed
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    assert changed == (
        f"nice of raylets (process {old}) was {nice}, then 19",
        f"policy of raylets (process {old}) was other, then batch",
    )


def test_a_real_quota_leaves_its_throttling_behind() -> None:
    """It comes and goes between two looks: only the kernel's counter shows it."""
    with cpu_quota(0.2) as group:
        if group is None:
            pytest.skip("this machine lets nobody make a control group with a quota")
        watch = CpuBoundsWatch()
        spin = "while True: pass"
        with subprocess.Popen([sys.executable, "-c", spin]) as process:
            try:
                (group / "cgroup.procs").write_text(str(process.pid))
                begun = look(watch, process.pid, begins=True)
                until(lambda: look(watch, process.pid).throttled_s > begun.throttled_s, "it is throttled")
                quota = look(watch, process.pid)
                root = group.parent / "cgroup.procs"
                root.write_text(str(process.pid))
                after = look(watch, process.pid)
            finally:
                process.kill()
    assert quota.quota_cpus == 0.2
    assert after.quota_cpus is None
    assert after.throttled_s > 0
    assert [change.partition(" (")[0] for change in after.changed] == ["quota of raylets"]
