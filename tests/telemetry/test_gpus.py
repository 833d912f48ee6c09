"""GPUs as NVML tells of them: none without a driver, those of a stand-in library, real ones if any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from vbench.telemetry.gpus import gpus, watching

ASKS = """
import json
from dataclasses import asdict
from vbench.telemetry.environment import describe
from vbench.telemetry.gpus import watching
with watching() as watch:
    samples = [asdict(one) for one in watch.sample()]
print(json.dumps([samples, describe()["gpus"]]))
"""


def has_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


@pytest.mark.skipif(has_driver(), reason="this machine has a GPU")
def test_a_machine_without_a_driver_has_no_gpus() -> None:
    with watching() as watch:
        assert watch.sample() == []
    assert gpus() == []


@pytest.mark.skipif(not has_driver(), reason="this machine has no GPU that NVML can see")
def test_a_real_gpu_tells_what_it_is_and_how_it_is() -> None:
    with watching() as watch:
        found = list(zip(watch.gpus(), watch.sample(), strict=True))
    assert found, "there is a driver, and a GPU that it can see"
    for gpu, sample in found:
        assert gpu.name
        assert 0 <= sample.busy_percent <= 100
        assert 0 < sample.memory_used_mb < gpu.memory_mb
        assert sample.sm_mhz > 0


def test_two_gpus_are_told_apart_and_what_one_cannot_tell_is_none(tmp_path: Path) -> None:
    """NVML's calls, answered by a library built for this test: what is real is in the study of GPUs."""
    source = Path(__file__).parents[1] / "support" / "fake_nvml.c"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", source], check=True, timeout=60
    )
    asked = subprocess.run(
        [sys.executable, "-c", ASKS],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    samples, described = json.loads(asked.stdout)
    for sample in samples:
        del sample["foreign_percent"], sample["foreign_processes"]
    assert samples == [
        {"gpu": 0, "busy_percent": 93, "memory_used_mb": 1500.0, "energy_j": 1234.5, "sm_mhz": 1980},
        {"gpu": 1, "busy_percent": None, "memory_used_mb": 1500.0, "energy_j": None, "sm_mhz": 1980},
    ]
    assert described == ["New GPU, 80000 MB, driver 580.1", "Old GPU, 8000 MB, driver 580.1"]
