"""What the processes of a trial were allowed is recorded, judged and compared."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from tests.support.waiting import until
from tests.validity import parts
from vbench.analysis import comparability
from vbench.linux.cgroups import CpuGroups, cpu_quota, memory_limit_bytes
from vbench.record.trial import Rule, Trial
from vbench.telemetry import conditions as telemetry
from vbench.validity import conditions

NAME = "the trial had the configured CPUs"


def judged(config: Any = None, harness: Any = None, load_report: Any = None) -> Rule:
    (rule,) = conditions.judge(
        config or parts.config(), load_report or parts.load_report(), harness or parts.harness()
    )
    return rule


def all_are(**changes: Any) -> dict[str, Any]:
    """Every process of the trial has these conditions."""
    process = parts.process(**changes)
    return {
        "harness": parts.harness(conditions={"harness": process, "harness's machine": parts.machine()}),
        "load_report": parts.load_report(conditions={"load process": process, "raylet of head": process}),
    }


def test_a_trial_with_the_whole_machine_keeps_the_rule() -> None:
    rule = judged()
    assert rule.passed, rule
    assert rule.name == NAME


def test_a_record_of_before_has_no_such_rule() -> None:
    assert list(conditions.judge(parts.config(), records.load_report(), parts.harness())) == []
    assert list(conditions.judge(parts.config(), parts.load_report(), None)) == []


ONE = {"cpus": [0], "usable_cpus": 1}
HALF = {"quota_cpus": 0.5, "usable_cpus": 0.5}


@pytest.mark.parametrize(
    ("narrow", "said"), [(ONE, "1 (by its affinity: 0)"), (HALF, "0.5 (by its control group's quota)")]
)
def test_fewer_cpus_than_the_configuration_counts_on_break_the_rule(
    narrow: dict[str, Any], said: str
) -> None:
    rule = judged(**all_are(**narrow))
    assert not rule.passed
    assert f"harness can use {said} of 2 CPUs, but the configuration needs all 2 CPUs" in rule.observed
    assert "taskset" in rule.remedy


def test_a_configuration_that_counts_on_fewer_may_have_fewer() -> None:
    assert judged(config=parts.config(cpus=1), **all_are(**ONE)).passed
    assert not judged(config=parts.config(cpus=2), **all_are(**ONE)).passed
    assert not judged(config=parts.config("emulated", cpus=1), **all_are(**ONE)).passed


@pytest.mark.parametrize("who", ["load process", "raylet of head", "workers of head"])
@pytest.mark.parametrize("change", [ONE, HALF, {"cpus": [2, 3]}])
def test_one_process_that_is_narrower_than_the_others_is_named(who: str, change: dict[str, Any]) -> None:
    seen = parts.load_report()
    seen = replace(seen, conditions={**seen.conditions, who: parts.process(**change)})
    rule = judged(load_report=seen)
    assert not rule.passed
    assert who in rule.observed


def test_another_priority_than_the_harness_is_named_but_not_that_of_workers() -> None:
    seen = parts.load_report()
    nice = replace(seen, conditions={**seen.conditions, "raylet of head": parts.process(nice=10)})
    assert "nice of raylet of head is 10" in judged(load_report=nice).observed
    assert judged().passed, "Ray gives its workers another"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LD_PRELOAD", "/tmp/x.so"),
        ("LD_AUDIT", "/tmp/x.so"),
        ("PYTHONMALLOC", "debug"),
        ("PYTHONDEVMODE", "1"),
    ],
)
def test_a_variable_that_alters_programs_breaks_the_rule(variable: str, value: str) -> None:
    rule = judged(**all_are(environment={variable: value}))
    assert not rule.passed
    assert f"{variable}={value} is set for" in rule.observed
    assert f"unset {variable}" in rule.remedy


def test_what_ray_preloads_itself_is_its_own() -> None:
    seen = parts.load_report()
    own = {"LD_PRELOAD": "/venv/lib/python3.11/site-packages/ray/core/libjemalloc.so"}
    seen = replace(seen, conditions={**seen.conditions, "raylet of head": parts.process(environment=own)})
    assert judged(load_report=seen).passed


def test_of_a_cluster_elsewhere_its_nodes_count_and_not_the_harness() -> None:
    """Its raylets are bound by what their own machine and the configuration say."""
    harness = parts.harness(conditions={"harness": parts.process(**ONE)})
    limited = {
        "raylet of head": parts.process(quota_cpus=60, usable_cpus=60, cpus=list(range(64))),
        "head's machine": parts.machine(online_cpus=64),
    }
    seen = parts.load_report(conditions=limited)
    assert judged(config=parts.config("attached", cpus=60), harness=harness, load_report=seen).passed
    rule = judged(config=parts.config("attached", cpus=64), harness=harness, load_report=seen)
    assert "raylet of head can use 60 (by its control group's quota) of 64 CPUs" in rule.observed


def trial(name: str, **changes: Any) -> Trial:
    return replace(
        records.trial(config={"model": {}}, harness=parts.harness(), load_report=parts.load_report()),
        folder=name,
        **changes,
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "config", lambda *_: parts.config())


@pytest.mark.parametrize(
    "change",
    [
        {"harness": parts.process(cpus=[0])},
        {"harness": parts.process(nice=10)},
        {"harness": parts.process(quota_cpus=1.5)},
        {"harness": parts.process(environment={"OMP_NUM_THREADS": "1"})},
        {"harness": parts.process(environment={"VBENCH_FFMPEG": "/tmp/ffmpeg"})},
        {"harness's machine": parts.machine(boot_id="b2")},
        {"harness's machine": parts.machine(cpu_flags="f2")},
    ],
)
def test_trials_of_other_conditions_are_compared_only_when_asked(change: dict[str, Any]) -> None:
    first = trial("a")
    other = trial("b", harness=parts.harness(conditions={**parts.harness().conditions, **change}))
    assert comparability.check([first, trial("c")], "s", []) == []
    with pytest.raises(
        comparability.NotComparableError, match="To compare them anyway, add --across conditions"
    ):
        comparability.check([first, other], "s", [])
    (note,) = comparability.check([first, other], "s", ["conditions"])
    assert "Compared anyway, by --across conditions" in note


def test_records_of_before_are_compared_as_they_were() -> None:
    old = replace(trial("a"), harness=None, load_report=records.load_report())
    assert comparability.check([old, replace(old, folder="b")], "s", []) == []


PRINTS = """
from vbench.telemetry.conditions import of_process
from vbench.config.sizing import machine_cpus
print(of_process()["usable_cpus"], machine_cpus(), of_process()["nice"])
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_one_usable_core_is_reported_as_one() -> None:
    one = str(min(os.sched_getaffinity(0)))
    command = ["nice", "-n", "3", "taskset", "-c", one, sys.executable, "-c", PRINTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    usable, cpus, nice = done.stdout.split()
    assert (usable, cpus) == ("1", "1")
    assert int(nice) == min(19, os.nice(0) + 3)


def test_a_process_tells_its_own_conditions_and_those_of_another() -> None:
    with subprocess.Popen(["sleep", "60"], env={"OMP_NUM_THREADS": "3", "HOME": "/"}) as other:
        until(lambda: telemetry.of_process(other.pid)["environment"] is not None, "the program runs")
        found = telemetry.of_process(other.pid)
        other.kill()
    assert found["environment"] == {"OMP_NUM_THREADS": "3"}
    assert found["cpus"] == sorted(os.sched_getaffinity(0))
    machine = telemetry.of_machine()
    assert machine["online_cpus"] >= len(found["cpus"])
    assert machine["boot_id"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be bound to fewer")
def test_workers_tell_the_fewest_cpus_of_any_and_the_environments_of_all() -> None:
    one = str(min(os.sched_getaffinity(0)))
    with (
        subprocess.Popen(["sleep", "60"], env={"LD_AUDIT": "", "OMP_NUM_THREADS": "3"}) as first,
        subprocess.Popen([shutil.which("taskset") or "", "-c", one, "sleep", "60"], env={}) as second,
        subprocess.Popen(["sleep", "60"], env={"LD_PRELOAD": "libm.so.6"}) as third,
    ):
        started = (first, second, third)

        def told() -> bool:
            facts = telemetry.of_workers(os.getpid()) or {}
            wanted = {"LD_PRELOAD": "libm.so.6", "OMP_NUM_THREADS": "3"}
            return facts.get("usable_cpus") == 1 and wanted.items() <= (facts["environment"] or {}).items()

        until(told, "the workers are told")
        for process in started:
            process.kill()


def test_a_list_of_cpus_is_read_as_the_kernel_writes_it() -> None:
    assert telemetry.cpu_list("0-2,5\n") == [0, 1, 2, 5]
    assert telemetry.cpu_list("") == []


def hierarchy(root: Path, mount: str, group: str, files: dict[str, str]) -> Path:
    """A process's view of one hierarchy, as files of /proc and of the mount point ``root/cg``."""
    proc = root / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(group)
    (proc / "self" / "mountinfo").write_text(mount.format(root / "cg"))
    for name, text in files.items():
        path = root / "cg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc


V2 = "36 35 0:31 / {} rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "32 31 0:29 {} {{}} rw - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.mark.parametrize(
    ("mount", "group", "files", "quota"),
    [
        (V2, "0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000"}, 1.5),
        (V2, "0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "150000 100000"}, 0.5),
        (V2, "0::/\n", {"cpu.max": "200000 100000"}, 2.0),
        (V2, "0::/a\n", {"a/cpu.max": "max 100000"}, None),
        (V2, "0::/\n", {}, None),
        (
            V1.format("/"),
            "4:cpu,cpuacct:/a/b\n",
            {"a/cpu.cfs_quota_us": "100000", "a/cpu.cfs_period_us": "100000"},
            1,
        ),
        (
            V1.format("/"),
            "4:cpu,cpuacct:/\n",
            {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
            None,
        ),
        # A container's own group is mounted as the root: what it sees of its path lies above.
        (
            V1.format("/docker/c1"),
            "4:cpu,cpuacct:/docker/c1\n",
            {"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "50000"},
            0.5,
        ),
    ],
)
def test_a_quota_is_found_up_the_tree(
    tmp_path: Path, mount: str, group: str, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(proc=hierarchy(tmp_path, mount, group, files)) == quota


@pytest.mark.parametrize(
    ("mount", "group", "files"),
    [
        (V2, "0::/a/b\n", {"a/b/cpu.stat": "usage_usec 9\nnr_throttled 4\nthrottled_usec 400000\n"}),
        (V1.format("/"), "4:cpu,cpuacct:/a\n", {"a/cpu.stat": "nr_throttled 4\nthrottled_time 400000000\n"}),
    ],
)
def test_the_time_for_which_a_group_was_throttled_is_found(
    tmp_path: Path, mount: str, group: str, files: dict[str, str]
) -> None:
    groups = CpuGroups(hierarchy(tmp_path, mount, group, files))
    assert groups.throttled_s() == {}
    assert groups.quota_cpus("self") is None
    assert list(groups.throttled_s().values()) == [0.4]


def test_a_quota_is_read_again_at_each_moment_and_a_process_that_is_gone_is_said_so(tmp_path: Path) -> None:
    proc = hierarchy(tmp_path, V2, "0::/a\n", {"a/cpu.max": "max 100000"})
    groups = CpuGroups(proc)
    assert groups.quota_cpus("self") is None
    (tmp_path / "cg" / "a" / "cpu.max").write_text("50000 100000")
    groups.forget()
    assert groups.quota_cpus("self") == 0.5
    with pytest.raises(FileNotFoundError):
        groups.quota_cpus(1)


def test_a_memory_limit_is_found_and_none_is_none(tmp_path: Path) -> None:
    files = {"a/memory.max": "max", "memory.max": "1000000"}
    assert memory_limit_bytes(proc=hierarchy(tmp_path, V2, "0::/a\n", files)) == 1_000_000


CPU_V1 = Path("/sys/fs/cgroup/cpu")


@pytest.fixture
def half_a_core() -> Iterator[Path]:
    """A real group of cgroup v1 with half a core."""
    group = CPU_V1 / f"vbench-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        pytest.skip(f"this machine lets nobody make a group of cgroup v1 here: {error}")
    yield group
    group.rmdir()


def test_a_real_quota_of_cgroup_v1_is_seen_by_who_is_in_it(half_a_core: Path) -> None:
    join = f"open('{half_a_core}/cgroup.procs', 'w').write('0')\n"
    done = subprocess.run(
        [sys.executable, "-c", join + PRINTS], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split()[:2] == ["0.5", "1"]
