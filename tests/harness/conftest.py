"""Runs of the real command, and proof that none of them leaves anything."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vbench import procfs

PR_SET_CHILD_SUBREAPER = 36
DEADLINE_S = 240

SMALL = (
    "video.scene.width=320",
    "video.scene.height=180",
    "video.scene.length_s=4",
    "video.scene.unique_s=4",
    "pipeline.chunk_s=2",
    "pipeline.fps=2",
    "load.requests=3",
    "load.warmup=1",
    "load.concurrency=2",
    "load.sample_period_s=0.1",
    "cluster.nodes.head.object_store_mb=200",
    # What else runs on the machine that tests is not what they are about.
    "load.max_foreign_cpu_percent=100",
    "load.max_late_ms=10000",
)
"""A trial as short as a whole one can be."""


@pytest.fixture(scope="session", autouse=True)
def adopt_orphans() -> None:
    """Whatever a killed process leaves running becomes a child of the tests, and can be found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _below(root: int) -> list[int]:
    return procfs.family("of no guard", root)


@dataclass
class Workplace:
    """A folder to run in, with a temp dir of its own."""

    folder: Path
    temp: Path
    before: set[int]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *arguments: str, module: str = "vbench", **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.temp), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, module: str = "vbench", **env: str) -> tuple[int, str]:
        """(exit status, all that was printed)."""
        process = self.start(*arguments, module=module, **env)
        output, _ = process.communicate(timeout=DEADLINE_S)
        return process.returncode, output

    def left(self) -> list[str]:
        """Processes that were not there before, and files in the temp dir; waits for what is just ending."""
        deadline = time.monotonic() + 15
        while True:
            running = [pid for pid in _below(os.getpid()) if pid not in self.before]
            found = [" ".join(procfs.command(pid)) or str(pid) for pid in running]
            found += [str(path) for path in self.temp.iterdir()]
            if not found or time.monotonic() > deadline:
                return found
            os.sched_yield()

    def trials(self) -> list[Path]:
        return sorted(path.parent for path in (self.folder / "outputs").rglob("trial.json"))


@pytest.fixture
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    yield from _workplace(tmp_path_factory)


@pytest.fixture(scope="module")
def shared_workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    yield from _workplace(tmp_path_factory)


def _workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    # Ray's sockets need a short path.
    temp = Path(os.path.realpath(f"/tmp/vt{os.getpid()}-{time.monotonic_ns() % 10**9}"))
    temp.mkdir()
    place = Workplace(tmp_path_factory.mktemp("work"), temp, set(_below(os.getpid())))
    yield place
    for process in place.started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)
    left = place.left()
    if not left:
        temp.rmdir()
    assert left == [], "a run left this behind"


@pytest.fixture(scope="session")
def wait_for() -> Callable[["subprocess.Popen[str]", str], str]:
    """Reads a run's output until a text appears."""

    def wait(process: "subprocess.Popen[str]", text: str) -> str:
        assert process.stdout is not None
        seen = ""
        while text not in seen:
            line = process.stdout.readline()
            assert line, f"the run ended before it said '{text}':\n{seen}"
            seen += line
        return seen

    return wait
