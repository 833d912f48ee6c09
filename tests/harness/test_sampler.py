"""The sampler tells the trial's own CPU time from that of others."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vbench import procfs
from vbench.telemetry.sampler import ForeignCpu, Sampler, StoreUse

DEADLINE_S = 30
BUSY = "while True: pass"


@contextmanager
def busy() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def burnt(pid: int, seconds: float) -> None:
    """Wait until a process has used so much CPU time."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        line = procfs.stat(pid)
        if line is not None and line.own_cpu_s >= seconds:
            return
        assert time.monotonic() < deadline


def test_a_process_of_others_is_seen_and_named() -> None:
    with busy() as foreign, busy() as ours:
        cpu = ForeignCpu(root=ours)
        burnt(foreign, 0.6)
        percent, others, name = cpu.look()
    assert name is not None
    assert others > 5
    assert percent >= others


def test_what_the_trial_uses_is_not_foreign() -> None:
    with busy() as child:
        cpu = ForeignCpu(root=os.getpid())
        before, began = os.times(), time.monotonic()
        burnt(child, 0.5)
        _, others, _ = cpu.look()
    del before
    cores_used = 0.5 / (time.monotonic() - began)
    # Others may really be busy; what must not happen is that the child is among them.
    assert others <= 100 * (1 - cores_used / (os.cpu_count() or 1)) + 1


def test_samples_are_taken_until_the_block_ends() -> None:
    sampler = Sampler("head", os.getpid(), 0.02, lambda: StoreUse(used_bytes=2_000_000, spilled_bytes=0))
    deadline = time.monotonic() + DEADLINE_S
    with sampler.running():
        while len(sampler.samples) < 3:
            assert time.monotonic() < deadline
    assert {sample.object_store_used_mb for sample in sampler.samples} == {2.0}
    times = [sample.at_s for sample in sampler.samples]
    assert times == sorted(times)


def test_what_a_sample_raises_is_not_lost() -> None:
    def broken() -> StoreUse:
        raise OSError("the raylet is gone")

    sampler = Sampler("head", os.getpid(), 0.01, broken)
    caught = ""
    try:
        with sampler.running():
            deadline = time.monotonic() + DEADLINE_S
            while sampler._thread.is_alive():
                assert time.monotonic() < deadline
    except OSError as error:
        caught = str(error)
    assert caught == "the raylet is gone"
