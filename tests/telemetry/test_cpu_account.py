"""What a process used is still the trial's when it has ended, whoever waited for it, or nobody."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping

import pytest

from vbench.linux import procfs
from vbench.linux.procfs import Stat
from vbench.telemetry.cpu_account import CpuAccount


def line(pid: int, parent: int, own_s: float, children_s: float = 0.0, started: int = 1) -> Stat:
    return Stat(
        pid=pid,
        name=f"p{pid}",
        state="S",
        parent=parent,
        cpu_s=own_s + children_s,
        own_cpu_s=own_s,
        started=started,
    )


def looks(*each: Mapping[int, Stat]) -> list[float]:
    account = CpuAccount()
    return [account.sample(stats, list(stats)) for stats in each]


def table(*lines: Stat) -> dict[int, Stat]:
    return {each.pid: each for each in lines}


HARNESS, RAYLET = line(1, 0, 1), line(2, 1, 5)
REPLICA = line(3, 2, 60)


def test_a_replica_that_nobody_waited_for_keeps_what_it_used() -> None:
    before, after = looks(table(HARNESS, RAYLET, REPLICA), table(HARNESS, RAYLET))
    assert (before, after) == (66, 66)


def test_one_that_its_parent_waited_for_is_counted_once() -> None:
    waited = line(2, 1, 5, children_s=61)
    assert looks(table(HARNESS, RAYLET, REPLICA), table(HARNESS, waited)) == [66, 67]


def test_other_children_that_a_parent_waited_for_do_not_stand_for_the_one_that_was_lost() -> None:
    """A decoder's FFmpeg comes and goes between two looks, while another replica is killed."""
    decoder, ffmpegs = line(4, 2, 10), line(4, 2, 10, children_s=3)
    before, after = looks(table(HARNESS, RAYLET, REPLICA, decoder), table(HARNESS, RAYLET, ffmpegs))
    assert (before, after) == (76, 79)


def test_one_that_was_waited_for_further_up_is_counted_once() -> None:
    """Its parent died with it, so a subreaper or the first process of the namespace waited for both."""
    reaped = line(1, 0, 1, children_s=65)
    assert looks(table(HARNESS, RAYLET, REPLICA), table(reaped)) == [66, 66]


def test_an_orphan_that_lives_on_is_followed() -> None:
    account = CpuAccount()
    assert account.sample(table(HARNESS, REPLICA), [1, 3]) == 61
    assert account.sample(table(HARNESS, line(3, 0, 70)), [1]) == 71


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    again = line(3, 2, 0.5, started=9)
    assert looks(table(HARNESS, RAYLET, REPLICA), table(HARNESS, RAYLET, again)) == [66, 66.5]


def test_a_process_that_was_never_looked_at_is_in_its_parents_account() -> None:
    assert looks(table(HARNESS, RAYLET), table(HARNESS, line(2, 1, 5, children_s=4))) == [6, 10]


IGNORES = """
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = os.fork()
if child == 0:
    while time.process_time() < 0.5:
        pass
    print(os.getpid(), flush=True)
    signal.pause()
sys.stdin.read()
"""


@pytest.mark.timeout(120)
def test_a_killed_child_of_a_parent_that_lets_the_kernel_reap_is_not_others_use() -> None:
    """As a raylet does it, with real processes."""
    with subprocess.Popen(
        [sys.executable, "-c", IGNORES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        account = CpuAccount()

        def look() -> float:
            stats = procfs.all_stats()
            return account.sample(stats, procfs.descendants(stats, [parent.pid]))

        before = look()
        assert before >= 0.48
        os.kill(child, signal.SIGKILL)
        while procfs.stat(child) is not None:
            select.select([], [], [], 0.01)
        assert look() >= before
        assert parent.stdin is not None
        parent.stdin.close()
