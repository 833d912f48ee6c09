"""Runs of the real command in a folder and temp dir of their own."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vbench.linux import procfs
from vbench.record.files import read_trial, trial_folders

DEADLINE_S = 240

ROOT = Path(__file__).resolve().parents[2]
ORDINARY = Path(__file__).with_name("ordinary.py")
"""Runs a command as nobody."""

Wait = Callable[["subprocess.Popen[str]", str], str]
"""Reads a run's output until a text appears: what the fixture ``wait_for`` gives."""

SMALL = (
    "pipeline.chunk_s=2",
    "pipeline.fps=2",
    "load.requests=3",
    "load.warmup=1",
    "load.concurrency=2",
    "load.sample_period_s=0.5",
    "cluster.nodes.head.object_store_mb=200",
    # Each replica is a process that imports Ray Serve, which takes seconds.
    "cluster.deployments.decoder.replicas=1",
    # What else runs on the machine that tests is not what they are about.
    "load.max_foreign_cpu_percent=100",
    "load.max_stall_ms=30000",
    "load.max_speed_change_percent=100",
    "load.max_late_ms=10000",
)
"""A trial as short as a whole one can be."""

SCENE = (
    "video.scene.width=320",
    "video.scene.height=180",
    "video.scene.length_s=4",
    "video.scene.unique_s=4",
)
"""And a scene for it."""


def below(root: int) -> list[int]:
    return procfs.process_tree("of no guard", root)


def output_of(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = DEADLINE_S,
) -> tuple[int, str]:
    """Exit status of a command without standard input, and all that it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout


def ran(folder: Path, temp: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Exit status and output of Python with these arguments."""
    environment = {**os.environ, "TMPDIR": str(temp), "PYTHONPATH": str(ROOT), **env}
    return output_of([sys.executable, *arguments], folder=folder, env=environment)


@dataclass
class Workplace:
    """A folder to run in, with a temp dir of its own."""

    folder: Path
    temp: Path
    before: set[int]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(
        self, *arguments: str, module: str = "vbench", enter: Sequence[str] = (), **env: str
    ) -> "subprocess.Popen[str]":
        """``enter`` stands before the command, where it runs on a host of its own."""
        process = subprocess.Popen(
            [*enter, sys.executable, "-m", module, *arguments],
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

    def interrupted(self, run: "subprocess.Popen[str]") -> None:
        """Assert that a run of one trial, which was sent a signal, ends, says so, and so does its record."""
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 130, output
        assert "interrupted" in output
        assert "Traceback" not in output
        (folder,) = self.trials()
        trial = read_trial(folder)
        assert (trial.status, trial.valid) == ("interrupted", False)

    def left(self) -> list[str]:
        """Processes that were not there before, and files in the temp dir; waits for what is just ending."""
        deadline = time.monotonic() + 15
        while True:
            running = [pid for pid in below(os.getpid()) if pid not in self.before]
            found = [" ".join(procfs.command(pid)) or str(pid) for pid in running]
            found += [str(path) for path in self.temp.iterdir()]
            if not found or time.monotonic() > deadline:
                return found
            select.select([], [], [], 0.05)

    def trials(self) -> list[Path]:
        return trial_folders(self.folder / "outputs")
