"""Runs and times commands, among them trials of vbench."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vbench.config.checkout import ROOT
from vbench.record.files import TRIAL

TIMEOUT_S = 600.0

Watch = Callable[[int], AbstractContextManager[object]]
"""Makes, from a process id, a context that is entered while the process runs."""


def timed(
    command: Sequence[str],
    *,
    timeout_s: float = TIMEOUT_S,
    statuses: Sequence[int] = (0,),
    watch: Watch = lambda _: nullcontext(),
    env: Mapping[str, str] | None = None,
) -> tuple[float, str]:
    """Run a command in the checkout; returns its wall-clock seconds and its output.

    Args:
        command: program and arguments.
        timeout_s: seconds after which the command is killed.
        statuses: exit statuses that count as success.
        watch: watches the process while it runs.
        env: environment variables to add to this process's.

    Raises:
        SystemExit: the command failed; the message contains its output.
        subprocess.TimeoutExpired: it took longer than ``timeout_s``.
    """
    start_s = time.monotonic()
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
            with watch(process.pid):
                output, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    if process.returncode not in statuses:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}:\n{output}")
    return time.monotonic() - start_s, output


def run_trial(
    outputs: Path,
    *overrides: str,
    timeout_s: float = TIMEOUT_S,
    watch: Watch = lambda _: nullcontext(),
    env: Mapping[str, str] | None = None,
) -> Path:
    """Run one trial without MLflow; returns its folder, whether or not it is valid.

    Args:
        outputs: the folder for outputs.
        overrides: of the configuration.
        timeout_s: as for ``timed``, like ``watch`` and ``env``.
        watch: likewise.
        env: likewise.

    Raises:
        SystemExit: the trial failed or left no record.
        subprocess.TimeoutExpired: it took longer than ``timeout_s``.
    """
    before = set(outputs.glob("runs/*"))
    command = [sys.executable, "-m", "vbench", f"outputs={outputs}", "tracking=off", *overrides]
    _, output = timed(command, timeout_s=timeout_s, statuses=(0, 1), watch=watch, env=env)
    folders = [path for path in set(outputs.glob("runs/*")) - before if (path / TRIAL).exists()]
    if len(folders) != 1:
        raise SystemExit(f"{' '.join(command)} left no record:\n{output}")
    return folders[0]
