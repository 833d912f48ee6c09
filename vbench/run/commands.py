"""Running vbench's own commands from the scripts under ``experiments/``."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vbench.config.checkout import ROOT
from vbench.record.files import TRIAL

LONGEST_S = 600.0


def timed(
    command: Sequence[str],
    *,
    longest_s: float = LONGEST_S,
    statuses: Sequence[int] = (0,),
    watching: Callable[[int], AbstractContextManager[object]] = lambda _: nullcontext(),
    env: Mapping[str, str] | None = None,
) -> tuple[float, str]:
    """Run a command that must succeed, in the checkout; its wall seconds, and what it printed.

    Args:
        command: program and arguments.
        longest_s: seconds after which it is killed.
        statuses: with which it may end.
        watching: makes, of the process's id, a context that is entered while it runs.
        env: environment variables, added to those of this process.

    Raises:
        SystemExit: it failed; with all that it printed.
        subprocess.TimeoutExpired: it took longer.
    """
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            with watching(process.pid):
                printed, _ = process.communicate(timeout=longest_s)
        except BaseException:
            process.kill()
            raise
    if process.returncode not in statuses:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{printed}")
    return time.monotonic() - began, printed


def run_trial(
    outputs: Path,
    *overrides: str,
    longest_s: float = LONGEST_S,
    watching: Callable[[int], AbstractContextManager[object]] = lambda _: nullcontext(),
) -> Path:
    """The folder of one trial, valid or not, with these overrides and without MLflow; else as ``timed``."""
    before = set(outputs.glob("runs/*"))
    command = [sys.executable, "-m", "vbench", f"outputs={outputs}", "tracking=off", *overrides]
    timed(command, longest_s=longest_s, statuses=(0, 1), watching=watching)
    (folder,) = set(outputs.glob("runs/*")) - before
    if not (folder / TRIAL).exists():
        raise SystemExit(f"{' '.join(command)} left no record")
    return folder
