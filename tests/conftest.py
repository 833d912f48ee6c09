"""Options of the whole suite, its order, a folder to run in, and proof that no run leaves anything."""

import codecs
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.support.ordinary import NOBODY
from tests.support.runs import DEADLINE_S, Wait, Workplace, below

PR_SET_CHILD_SUBREAPER = 36

# The tests start some thousand Python processes: they compile the code once, not each for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Threads of PyTorch that spin while they wait for each other take up to three times the CPU time of their
# work when other tests need the cores. OpenMP reads this, here and in the runs that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes says how loaded the machine is. Where changes are judged each run tries the same
# examples, elsewhere new ones.
settings.register_profile(
    "vbench", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("vbench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-phase",
        action="store_true",
        help="kill each process of an emulated trial in each phase instead of the chosen ones",
    )


TESTS = Path(__file__).parent
LONGEST = (
    # Of slow tests, which take minutes.
    "pipeline/on_cluster/test_parity.py",
    "pipeline/on_cluster/test_overload.py",
    "pipeline/on_cluster/test_service.py",
    "pipeline/on_cluster/test_faults.py",
    "validity/test_sabotage.py",
    "clusters/emulated/test_interrupts.py",
    "clusters/emulated/test_trial.py",
    "clusters/attached/test_trials.py",
    "run/test_whole_sweeps.py",
    "validity/test_own_processes.py",
    "run/test_interrupts.py",
    "run/test_whole_runs.py",
    "docs/test_first_steps.py",
    "validity/test_interference.py",
    "load/test_transfer_trial.py",
    # Of fast ones.
    "video/test_split.py",
    "video/differential/test_differential.py",
    "models/test_shapes.py",
    "cli/test_compare.py",
    "validity/test_known_answers.py",
    "docs/test_commands.py",
    "analysis/test_screening.py",
    "analysis/test_comparison.py",
    "run/test_bad_input.py",
    "run/test_compose.py",
    "run/test_studies.py",
    "video/reader/test_process.py",
)
"""Files with the longest tests, the longest first: what is begun last keeps one process busy while the others
have nothing left to do."""


ONE_GROUP = {"on_cluster"}
"""Folders whose files share what takes long to start: with ``--dist loadgroup`` one process runs them all."""

SLOW = "mark.slow"
"""By this text `make test` finds the files with slow tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unlisted = {
        item.path for item in items if item.get_closest_marker("slow") and SLOW not in item.path.read_text()
    }
    if unlisted:
        raise pytest.UsageError(f"write '{SLOW}' in {unlisted}: `make test` would not find their slow tests")
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).as_posix(), len(places)))
    for item in items:
        name = item.path.relative_to(TESTS)
        group = name.parent if name.parent.name in ONE_GROUP else name
        item.add_marker(pytest.mark.xdist_group(group.as_posix()))


def pytest_configure() -> None:
    """In the background of a shell Ctrl-C is ignored, and would be by all that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def adopting() -> Iterator[None]:
    """What a killed process leaves running becomes a child of the tests, and so can be found; zombies that
    came this way are reaped at the end."""
    libc = ctypes.CDLL(None)
    own = {child.pid for child in psutil.Process().children()}
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for child in psutil.Process().children():
            if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)


@pytest.fixture
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    # Ray's sockets need a short path.
    temp = Path(os.path.realpath(f"/tmp/vt{os.getpid()}-{time.monotonic_ns() % 10**9}"))
    temp.mkdir()
    with adopting():
        place = Workplace(tmp_path_factory.mktemp("work"), temp, set(below(os.getpid())))
        yield place
        for process in place.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=30)
        left = place.left()
        if not left:
            temp.rmdir()
        assert left == [], "a run left this behind"


@pytest.fixture
def nobodys() -> Iterator[tuple[Path, Path]]:
    """A folder to run in and one for temp files, which only nobody and root can use; where all can go."""
    with ExitStack() as stack:
        made = [stack.enter_context(tempfile.TemporaryDirectory(prefix="vt", dir="/tmp")) for _ in range(2)]
        for path in made:
            os.chown(path, NOBODY, NOBODY)
        yield Path(made[0]), Path(made[1])


@pytest.fixture(scope="session")
def wait_for() -> Wait:
    """Reads a run's output until a text appears."""

    def wait(process: "subprocess.Popen[str]", text: str) -> str:
        assert process.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        seen, decoder = "", codecs.getincrementaldecoder("utf-8")()
        while text not in seen:
            # Unbuffered, or a line could lie in Python's buffer while select waits for the pipe.
            ready = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            assert data, f"the run did not say '{text}':\n{seen}"
            seen += decoder.decode(data)
        return seen

    return wait
