"""A guard leaves nothing of its command, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import until
from vbench.linux import procfs
from vbench.linux.guard import SupervisedProcess, supervised

DEADLINE_S = 20

ORPHAN = "import os, time; os.fork() or (os.setsid(), time.sleep(300)); time.sleep(300)"
"""A command with a child in a session of its own."""

STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ORPHAN}"


def started(command: SupervisedProcess) -> list[int]:
    until(lambda: len(command.pids()) == 2, "the command and its child are up", DEADLINE_S)
    return command.pids()


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if (line := procfs.stat(pid)) and line.state not in "ZX"]


@pytest.mark.parametrize("code", [ORPHAN, STUBBORN])
def test_leaving_the_block_ends_everything(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "ray"
    with supervised([sys.executable, "-c", code], env=os.environ, folders=[folder]) as command:
        pids = started(command)
        assert folder.is_dir()
    assert alive(pids) == []
    assert not folder.exists()


def test_a_killed_guard_is_replaced_by_its_parent(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    with supervised([sys.executable, "-c", ORPHAN], env=os.environ, folders=[folder]) as command:
        pids = started(command)
        os.kill(command.guard.pid, signal.SIGKILL)
    assert alive(pids) == []
    assert not folder.exists()


def test_a_killed_parent_is_survived_by_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    parent = (
        "import os, sys; from pathlib import Path; from vbench.linux.guard import supervised\n"
        f"command, folder = [sys.executable, '-c', {ORPHAN!r}], Path({str(folder)!r})\n"
        "with supervised(command, env=os.environ, folders=[folder]) as c:\n"
        "    while len(c.pids()) < 2: os.sched_yield()\n"
        "    print(*c.pids(), flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(alive(pids)) == 2
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    until(lambda: not alive(pids) and not folder.exists(), "nothing of it is left", DEADLINE_S)


def test_the_exit_status_is_the_commands() -> None:
    for code, status in (("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)):
        with supervised([sys.executable, "-c", code], env=os.environ) as command:
            assert command.guard.wait(DEADLINE_S) == status


def test_a_command_that_is_not_there_ends_with_a_status() -> None:
    with supervised(["/nowhere/nothing"], env=os.environ, stderr=subprocess.DEVNULL) as command:
        assert command.guard.wait(DEADLINE_S) != 0
