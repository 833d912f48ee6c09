"""Others' use of the trial's GPUs is told apart from the trial's, and judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from tests.validity import parts
from vbench.linux import procfs
from vbench.record.samples import GpuSample, MachineSample
from vbench.record.trial import Rule
from vbench.validity import foreign_gpu

NVML = Path(__file__).parents[1] / "support" / "fake_nvml.c"

LOOKS = """
import json
import os
from vbench.telemetry.gpus import watching
with watching() as watch:
    for _ in range(2):
        first, second = watch.sample({os.getppid()})
        print(json.dumps([first.foreign_percent, first.foreign_processes]))
    print(json.dumps([second.foreign_percent, second.foreign_processes]))
"""


def sees_all() -> bool:
    line = procfs.stat(2)
    return line is not None and line.name == "kthreadd"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    command = ["gcc", "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", NVML]
    subprocess.run(command, check=True, timeout=60)
    return folder


@pytest.mark.skipif(not sees_all(), reason="in a PID namespace nobody can say whose processes NVML names")
def test_a_process_that_is_not_the_trials_is_foreign(library: Path) -> None:
    """NVML's calls are answered by a library built for this: 1 is no process of ours, this one is."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKS],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "FAKE_NVML_PIDS": f"1 30 {os.getpid()} 60 1 10",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, later, silent = (json.loads(line) for line in done.stdout.splitlines())
    init = procfs.stat(1)
    assert init is not None
    assert first == [20.0, [f"{init.name} (1)"]], "the mean of its two samples"
    assert later == [0.0, [f"{init.name} (1)"]], "no sample is counted twice; it still has its context"
    assert silent == [None, []], "an old GPU does not report it"


def gpu(**changes: Any) -> GpuSample:
    return GpuSample(
        gpu=0,
        busy_percent=90,
        memory_used_mb=1,
        energy_j=None,
        sm_mhz=None,
        **{"foreign_percent": 0.0, **changes},
    )


def judged(*looks: GpuSample, gpus: int = 1, **load: float) -> Rule | None:
    machines: list[MachineSample] = [
        records.machine(100.0 + second, gpus=(look,)) for second, look in enumerate(looks)
    ]
    return next(foreign_gpu.judge(parts.config(gpus=gpus, **load), machines), None)


def test_gpus_that_the_trial_alone_used_keep_the_rule() -> None:
    rule = judged(gpu(foreign_percent=90), gpu(), gpu(foreign_percent=4))
    assert rule is not None
    assert rule.passed, "the first sample is about the time before"
    assert "other programs used 2.0% of GPU 0 of host; limit 5%" in rule.observed


def test_others_that_used_a_gpu_break_the_rule_and_are_named() -> None:
    busy = gpu(foreign_percent=30, foreign_processes=("python (7)",))
    rule = judged(gpu(), busy, busy)
    assert rule is not None
    assert not rule.passed
    assert "other programs used 30.0% of GPU 0 of host (python (7))" in rule.observed
    assert judged(gpu(), busy, busy, max_foreign_gpu_percent=50).passed


def test_others_on_a_gpu_that_does_not_tell_how_much_break_the_rule() -> None:
    unknown = gpu(foreign_percent=None, foreign_processes=("python (7)",))
    rule = judged(unknown, unknown)
    assert rule is not None
    assert not rule.passed
    assert "python (7) compute on GPU 0 of host, which does not report how much" in rule.observed


def test_a_gpu_that_tells_nothing_and_has_nobody_else_is_no_reason_to_lose_a_trial() -> None:
    rule = judged(gpu(foreign_percent=None), gpu(foreign_percent=None))
    assert rule is not None
    assert rule.passed
    assert "do not report" in rule.observed


def test_a_trial_without_gpus_has_no_such_rule() -> None:
    busy = gpu(foreign_percent=99)
    assert judged(busy, busy, gpus=0) is None
    assert judged() is None


@pytest.mark.parametrize(
    ("group", "key", "value"), [("model", "device", "cuda:0"), ("pipeline", "hwaccel", "cuda")]
)
def test_a_gpu_that_ray_is_not_told_of_is_judged_too(group: str, key: str, value: str) -> None:
    config = parts.config(gpus=0)
    setattr(getattr(config, group), key, value)
    busy = gpu(foreign_percent=99)
    machines = [records.machine(at_s, gpus=(busy,)) for at_s in (100.0, 101.0)]
    (rule,) = foreign_gpu.judge(config, machines)
    assert not rule.passed
