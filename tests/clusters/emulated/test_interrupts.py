"""Whichever process of an emulated trial is killed, and whenever: nothing of it stays on the machine."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.support.emulated import BOUNDS, EMULATED, OBJECTS, Machine, Processes, namespaces_of, of, processes
from tests.support.runs import SCENE, Wait, Workplace
from tests.support.waiting import until
from vbench.linux import procfs
from vbench.record.files import read_trial

pytestmark = pytest.mark.slow

Pick = Callable[[Processes], int | None]

TWO_HOSTS = ("cluster=emulated", *of("head", "gpu"), *BOUNDS, *OBJECTS)
"""The fewest that there can be: what is killed, and what must end then, is the same on any other."""

LONG = (*TWO_HOSTS, "load.requests=5000", "load.objects=2")
SHORT = (*TWO_HOSTS, "load.requests=1", "load.objects=2")
VIDEO = (*EMULATED, *SCENE, "pipeline.chunk_s=2", "load.warmup=0", "load.requests=5000")

HOSTS = "creating hosts and links"
LINKS = "checking the links"
HEAD = "starting Ray on the head"
OTHERS = "starting Ray on the other nodes"
CONNECTING = "connecting to Ray"
DEPLOYING = "starting sender and receiver"
WARM_UP = "warm-up  0/1"
QUIET = "waiting for idle links"
REQUESTS = "requests  0/5000"
STOPPING = "stopping the cluster"


@contextmanager
def reaping(own: set[int]) -> Iterator[None]:
    """What killed processes leave behind is this process's by ``adopting``; it reaps them at once, as a
    machine's first process does: a zombie keeps its PID namespace from ending."""
    stop = threading.Event()

    def reap() -> None:
        while not stop.wait(0.05):
            for pid, line in procfs.all_stats().items():
                if line.parent == os.getpid() and line.state == "Z" and pid not in own:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)

    thread = threading.Thread(target=reap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def first_host(found: Processes) -> int | None:
    return found.hosts[0] if found.hosts else None


def last_host(found: Processes) -> int | None:
    return found.hosts[1] if len(found.hosts) == 2 else None


def by_arguments(found: Processes, *wanted: str) -> int | None:
    below = procfs.process_tree("of no guard", found.main)
    return next((pid for pid in below if tuple(procfs.command(pid)[1 : 1 + len(wanted)]) == wanted), None)


def by_name(found: Processes, name: str) -> int | None:
    lines = (procfs.stat(pid) for pid in procfs.process_tree("of no guard", found.main))
    return next((line.pid for line in lines if line is not None and line.name == name), None)


PICKS: dict[str, Pick] = {
    "the harness": lambda found: found.main,
    "the cluster's guard": lambda found: found.guard,
    "launcher": lambda found: found.launcher,
    "init": lambda found: found.init,
    "the head": first_host,
    "another host": last_host,
    "the load's guard": lambda found: found.load_guard,
    "the load process": lambda found: by_arguments(found, "-m", "vbench.load", "drive"),
    "a raylet": lambda found: by_name(found, "raylet"),
}


STAYS: dict[str, tuple[str, ...]] = {
    HOSTS: ("the harness", "the cluster's guard", "launcher", "init", "the head", "another host"),
    LINKS: (),
    HEAD: ("a raylet",),
    OTHERS: (),
    CONNECTING: ("the load's guard", "the load process"),
    DEPLOYING: (),
    WARM_UP: (),
    QUIET: (),
    REQUESTS: (),
}
"""Phase -> who comes in it, and stays to the end."""

CHOSEN = {
    (HOSTS, "init"),
    (LINKS, "launcher"),
    (HEAD, "the cluster's guard"),
    (OTHERS, "the head"),
    (OTHERS, "a raylet"),
    (CONNECTING, "the load process"),
    (DEPLOYING, "the load's guard"),
    (REQUESTS, "another host"),
}
"""Each process once, and the harness in the phases of ``OFTEN`` and, below, while it stops the cluster;
``--every-phase`` takes all that there are."""

LESS_OFTEN = {
    (CONNECTING, "the load process"),
    (OTHERS, "a raylet"),
    (OTHERS, "the harness"),
    (DEPLOYING, "the load's guard"),
    (HEAD, "the cluster's guard"),
}
"""Of these, those that begin like others, and take as long."""

OFTEN = (LINKS, OTHERS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = metafunc.config.getoption("--every-phase")
    if "who" in metafunc.fixturenames:
        cases, there = [], []
        for phase, come in STAYS.items():
            there += come
            cases += [(phase, who) for who in there]
        if not every:
            often = {(phase, "the harness") for phase in OFTEN}
            cases = [case for case in cases if case in CHOSEN | often]
        marked = [
            pytest.param(*case, marks=pytest.mark.long if case in LESS_OFTEN and not every else ())
            for case in cases
        ]
        metafunc.parametrize(("phase", "who"), marked)
    elif "arguments" in metafunc.fixturenames:
        cases = [(STOPPING, SHORT), *([(REQUESTS, VIDEO)] if every else [])]
        metafunc.parametrize(("phase", "arguments"), cases, ids=[phase for phase, _ in cases])


def test_whoever_is_killed_and_whenever_nothing_is_left(
    workplace: Workplace, wait_for: Wait, phase: str, who: str
) -> None:
    status, output = killed(workplace, wait_for, phase, who, LONG)
    if who == "the harness":
        assert status == -signal.SIGKILL
        return
    assert status == 1, output
    assert "Traceback" not in output
    (folder,) = workplace.trials()
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("failed", False)
    assert trial.error
    assert " ".join(trial.error.split()) in " ".join(output.split())
    if (phase, who) == (REQUESTS, "another host"):
        assert trial.error.startswith("Ray ended with status ")


@pytest.mark.long
def test_a_harness_that_is_killed_leaves_nothing(
    workplace: Workplace, wait_for: Wait, phase: str, arguments: Sequence[str]
) -> None:
    """While it stops the cluster, and while videos are decoded."""
    status, _ = killed(workplace, wait_for, phase, "the harness", arguments)
    assert status == -signal.SIGKILL


def killed(
    workplace: Workplace, wait_for: Wait, phase: str, who: str, arguments: Sequence[str]
) -> tuple[int, str]:
    """Run until ``phase``, kill ``who``; exit status and output, once it is proven that nothing is left."""
    machine = Machine.now()
    run = workplace.start(*arguments)
    with reaping({run.pid}):
        output = wait_for(run, phase)
        until(lambda: PICKS[who](processes(run.pid)) is not None, f"{who} is there")
        spaces = namespaces_of(procfs.process_tree("of no guard", run.pid))
        pid = PICKS[who](processes(run.pid))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        members = list(procfs.pids())
        output += run.communicate(timeout=90)[0]
        assert workplace.left() == []
        assert machine.left(spaces, members) == []
    return run.returncode, output


def test_ctrl_c_while_the_cluster_comes_up_leaves_nothing(workplace: Workplace, wait_for: Wait) -> None:
    machine = Machine.now()
    run = workplace.start(*LONG)
    with reaping({run.pid}):
        wait_for(run, HEAD)
        spaces = namespaces_of(procfs.process_tree("of no guard", run.pid))
        run.send_signal(signal.SIGINT)
        members = list(procfs.pids())
        workplace.interrupted(run)
        assert workplace.left() == []
        assert machine.left(spaces, members) == []
