"""Whatever ends a run, and whenever: no process, no port, no temp folder is left, and the record says so."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios

import pytest

from tests.support.runs import DEADLINE_S, SCENE, SMALL, Wait, Workplace
from vbench.linux import procfs
from vbench.record.files import read_trial

pytestmark = pytest.mark.slow


LONG = (*SCENE, *SMALL, "load.requests=5000", "tracking=off")

ENDS = [
    ("rendering the scene", signal.SIGHUP),
    ("starting Ray", signal.SIGTERM),
    ("requests  0/5000", signal.SIGINT),
]

BETWEEN = "deploying  0/4"
"""A phase that only ``--every-phase`` looks at."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Signals by phase, and what no process can catch."""
    every = metafunc.config.getoption("--every-phase")
    if metafunc.function is test_ctrl_c_leaves_nothing:
        metafunc.parametrize(("phase", "number"), [*ENDS, *([(BETWEEN, signal.SIGTERM)] if every else [])])
    elif metafunc.function is test_kill_9_leaves_nothing:
        metafunc.parametrize("phase", ["requests  0/5000", *([BETWEEN] if every else [])])


def test_ctrl_c_leaves_nothing(
    workplace: Workplace, wait_for: Wait, phase: str, number: signal.Signals
) -> None:
    run = workplace.start(*LONG)
    wait_for(run, phase)
    run.send_signal(number)
    # Somebody who is impatient.
    run.send_signal(number)
    workplace.interrupted(run)
    assert workplace.left() == []


@pytest.mark.long
def test_kill_9_leaves_nothing(workplace: Workplace, wait_for: Wait, phase: str) -> None:
    run = workplace.start(*LONG)
    wait_for(run, phase)
    run.kill()
    run.communicate(timeout=60)
    assert workplace.left() == []


@pytest.mark.long
def test_a_killed_load_process_fails_the_trial_and_leaves_nothing(
    workplace: Workplace, wait_for: Wait
) -> None:
    run = workplace.start(*LONG)
    wait_for(run, "requests  0/5000")
    for pid in procfs.process_tree("of no guard", run.pid):
        # The load process itself; its guard has the same words behind its own.
        if procfs.command(pid)[1:4] == ["-m", "vbench.load", "drive"]:
            os.kill(pid, signal.SIGKILL)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 1, output
    assert "the load process was ended by signal 9" in output
    assert "ran out of memory" in output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("failed", False)
    assert workplace.left() == []


@pytest.mark.long
def test_a_killed_ray_is_what_the_trial_names(workplace: Workplace, wait_for: Wait) -> None:
    run = workplace.start(*LONG)
    wait_for(run, "requests  0/5000")
    for pid in procfs.process_tree("of no guard", run.pid):
        line = procfs.stat(pid)
        if line is not None and line.name in ("raylet", "gcs_server"):
            os.kill(pid, signal.SIGKILL)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 1, output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("failed", False)
    assert str(trial.error).startswith("Ray ended with status 1 while the trial ran; see ")
    assert workplace.left() == []


def test_a_terminal_that_is_closed_interrupts_the_run_and_its_record_says_so(workplace: Workplace) -> None:
    master, slave = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "vbench", *LONG],
        cwd=workplace.folder,
        env={**os.environ, "TMPDIR": str(workplace.temp), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread, so nothing hangs
    )
    os.close(slave)
    seen = b""
    while b"rendering the scene" not in seen:
        assert select.select([master], [], [], DEADLINE_S)[0], seen
        seen += os.read(master, 65536)
    os.close(master)
    assert run.wait(timeout=60) == 130
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("interrupted", False)
    assert workplace.left() == []
