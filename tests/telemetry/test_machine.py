"""The machine's sampler tells the trial's own CPU time from that of others, also of what came and went."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.waiting import until
from vbench.linux import procfs
from vbench.telemetry.machine import CpuWatch, MachineSampler
from vbench.telemetry.periodic import repeated

DEADLINE_S = 60
BUSY = "while True: pass"


@contextmanager
def busy() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def until_used(pid: int, seconds: float) -> float:
    """Wait until a process has used so much CPU time; what it has used then."""
    used_s = 0.0

    def used() -> bool:
        nonlocal used_s
        line = procfs.stat(pid)
        assert line is not None
        used_s = line.own_cpu_s
        return used_s >= seconds

    until(used, f"{seconds:g} CPU seconds are used")
    return used_s


def test_the_trials_own_time_is_counted_and_that_of_others_is_not() -> None:
    with busy() as ours, busy() as foreign:
        watch = CpuWatch([ours])
        before = watch.sample().trial_s
        until_used(ours, 0.5)
        until_used(foreign, 3.0)
        line = procfs.stat(ours)
        assert line is not None
        after = watch.sample()
        later = procfs.stat(ours)
        assert later is not None
    assert before < line.own_cpu_s <= after.trial_s <= later.own_cpu_s
    assert after.foreign is not None
    everything = CpuWatch([os.getpid()]).sample()
    assert everything.trial_s >= after.trial_s


def test_a_child_that_came_and_went_stays_in_the_account() -> None:
    watch = CpuWatch([os.getpid()])
    before = watch.sample().trial_s
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE_S)
    # Seconds are counted in ticks of 10 ms.
    assert watch.sample().trial_s - before > 0.285


def test_the_others_are_named_by_who_used_most() -> None:
    # A root that does nothing: everything is of others, and two that spin are what they do.
    with subprocess.Popen(["sleep", "300"]) as idle, busy() as foreign:
        watch = CpuWatch([idle.pid])
        watch.sample()
        line = procfs.stat(foreign)
        assert line is not None
        # Another test's program may use more for a while, but not from the beginning to the end of each look.
        try:
            for used_s in (3.0, 6.0, 9.0):
                until_used(foreign, used_s)
                if (most := watch.sample().foreign) == line.name:
                    break
            assert most == line.name
        finally:
            idle.kill()


def test_a_name_that_is_no_text_disturbs_nothing() -> None:
    code = "open('/proc/self/comm', 'wb').write(b'caf\\xc3'); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    line = procfs.stat(process.pid)
    CpuWatch([os.getpid()]).sample()
    process.communicate(b"\n", timeout=DEADLINE_S)
    assert line is not None
    assert line.name.startswith("caf")


def test_samples_are_taken_from_the_beginning_of_the_block_to_its_end() -> None:
    sampler = MachineSampler([os.getpid()], 3600)
    before = time.monotonic()
    with sampler.running():
        began = time.monotonic()
    first, last = sampler.samples
    assert before <= first.at_s <= began <= last.at_s
    assert first.cpu_all_s <= last.cpu_all_s
    assert 0 < last.cpu_idle_s < last.cpu_all_s
    assert last.cpu_busy_s + last.cpu_idle_s <= last.cpu_all_s


def test_the_measured_samples_are_those_from_the_first_look_to_the_last() -> None:
    sampler = MachineSampler([os.getpid()], 0.01)
    with sampler.running():
        assert sampler.measured() == []
        began_s = time.monotonic()
        sampler.sample_now()
        until_more(sampler)
        assert sampler.measured() == []
        ended_s = time.monotonic()
        sampler.sample_now()
        until_more(sampler)
    measured = sampler.measured()
    assert 2 < len(measured) < len(sampler.samples)
    assert began_s <= measured[0].at_s
    assert ended_s <= measured[-1].at_s <= sampler.samples[-1].at_s
    assert [sample.at_s for sample in measured] == sorted(sample.at_s for sample in measured)


def until_more(sampler: MachineSampler) -> None:
    taken = len(sampler.samples)
    until(lambda: len(sampler.samples) > taken + 1, "two more samples are there")


def test_what_a_sample_raises_in_the_thread_is_not_lost() -> None:
    calls: list[int] = []

    def sample() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("the raylet is gone")

    with pytest.raises(OSError, match="the raylet is gone"), repeated(sample, 0.001):
        until(lambda: len(calls) > 1, "a second sample was tried")
    assert len(calls) == 2


def test_what_the_block_raises_comes_before_what_a_sample_raises() -> None:
    with pytest.raises(ValueError, match="the load failed"), repeated(lambda: None, 0.001):
        raise ValueError("the load failed")
