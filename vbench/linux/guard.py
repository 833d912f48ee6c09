"""Runs one command and, whatever ends it, leaves none of its processes behind.

``python -m vbench.linux.guard --folder DIR -- COMMAND ...`` makes DIR and runs COMMAND with a tag in
its environment, which what it starts inherits. The guard's standard input is its lifeline: the parent
holds the other end, and when the parent is gone, by ``kill -9`` too, the guard reads the end of file.
Then, or on SIGTERM, or when COMMAND ends, it ends all tagged processes and all descendants, reaps them
(it is their subreaper), removes DIR with all in it, and exits with COMMAND's status. ``--adopted DIR`` is
removed too, but was made by the parent. ``SupervisedProcess`` is the parent's side; where the guard itself
was killed, it does the same from there.
"""

import argparse
import contextlib
import ctypes
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vbench.linux.procfs import TAG_VARIABLE, process_tree

GRACE_S = 2.0
"""Time between asking to end and ending."""
END_S = 10.0
"""Time within which killed processes must be gone."""
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h: orphans below become children of the caller."""


def terminate_tree(tag: str, root: int | None, *, grace_s: float = GRACE_S) -> list[int]:
    """Ask every process of the tree to end, then kill the rest; returns those that could not be killed."""
    asked: set[int] = set()
    started = time.monotonic()
    while alive := process_tree(tag, root):
        spent_s = time.monotonic() - started
        if spent_s > grace_s + END_S:
            break
        for pid in alive:
            if spent_s > grace_s:
                _send(pid, signal.SIGKILL)
            elif pid not in asked:
                asked.add(pid)
                _send(pid, signal.SIGTERM)
        if root == os.getpid():
            _reap()
        select.select([], [], [], 0.03)
    if root == os.getpid() and not alive:
        _reap_last(started + grace_s + END_S)
    return alive


def _reap_last(deadline: float) -> None:
    """Until no child is left, zombies included: one in a PID namespace keeps that from ending, and a leader
    whose threads are still ending is a zombie that cannot be waited for yet."""
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                select.select([], [], [], 0.01)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _reap() -> None:
    """Collect the exit status of orphans that became ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def remove(folders: Sequence[str]) -> None:
    """Remove folders with their contents; missing ones are ignored."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class SupervisedProcess:
    """A command under its guard, as the parent sees it."""

    tag: str
    guard: "subprocess.Popen[bytes]"
    folders: tuple[str, ...]
    grace_s: float

    def pids(self) -> list[int]:
        """Living processes under the guard, without the guard itself."""
        return process_tree(self.tag, self.guard.pid)

    def exit_status(self) -> int | None:
        """The command's exit status, once its whole process tree has ended; None before."""
        return self.guard.poll()

    def end(self) -> None:
        """End the whole process tree; returns when nothing is left. May be called again."""
        if self.guard.stdin is not None:
            with contextlib.suppress(OSError):
                self.guard.stdin.close()
        try:
            self.guard.wait(timeout=self.grace_s + END_S + 2)
        except subprocess.TimeoutExpired:
            self.guard.kill()
            self.guard.wait()
        left = terminate_tree(self.tag, None, grace_s=0)
        if left:
            print(f"vbench: these processes could not be killed: {left}", file=sys.stderr)
        remove(self.folders)


@contextmanager
def supervised(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folders: Sequence[Path] = (),
    adopted: Sequence[Path] = (),
    inherited: Sequence[int] = (),
    grace_s: float = GRACE_S,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> Iterator[SupervisedProcess]:
    """Run ``command`` under a guard of its own; leaving the block ends it and removes ``folders``.

    The guard creates the folders, so that an interrupt before it runs leaves none behind.
    ``adopted``: folders that exist and are removed like the others. ``inherited``: descriptors that the guard
    keeps open until it ends, such as that of a lock, and the command does not get. ``grace_s``: seconds that
    the command and what it started have to end before they are killed.
    """
    tag = secrets.token_hex(8)
    owned, others = tuple(map(str, folders)), tuple(map(str, adopted))
    argv = [sys.executable, "-m", "vbench.linux.guard", "--tag", tag, f"--grace={grace_s}"]
    for folder in owned:
        argv += ["--folder", folder]
    for folder in others:
        argv += ["--adopted", folder]
    guard = subprocess.Popen(
        [*argv, "--", *command],
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        pass_fds=inherited,
    )
    running = SupervisedProcess(tag, guard, owned + others, grace_s)
    try:
        yield running
    finally:
        running.end()


def main() -> int:
    """The guard itself."""
    parser = argparse.ArgumentParser(prog="vbench.linux.guard", description=__doc__)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("--adopted", action="append", default=[])
    parser.add_argument("--grace", type=float, default=GRACE_S)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    wake, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = 127
    try:
        for folder in options.folder:
            Path(folder).mkdir(mode=0o700)
        child = subprocess.Popen(
            options.command, stdin=subprocess.DEVNULL, env={**os.environ, TAG_VARIABLE: options.tag}
        )
        status = _watch(child, wake)
    finally:
        left = terminate_tree(options.tag, os.getpid(), grace_s=options.grace)
        remove([*options.folder, *options.adopted])
    if left:
        print(f"these processes could not be killed: {left}", file=sys.stderr)
    return status


def _watch(child: "subprocess.Popen[bytes]", wake: int) -> int:
    """Wait for the command's end, for the parent's, or for a signal to end; the exit status to give."""
    while True:
        ready, _, _ = select.select([0, wake], [], [], None)
        if wake in ready:
            numbers = os.read(wake, 4096)
            if any(number != signal.SIGCHLD for number in numbers):
                return 128 + signal.SIGTERM
        if 0 in ready and not os.read(0, 4096):
            return 128 + signal.SIGHUP
        if child.poll() is not None:
            return child.returncode if child.returncode >= 0 else 128 - child.returncode
        _reap_others(child.pid)


def _reap_others(kept: int) -> None:
    """Collect orphans that became ours, but not the command itself."""
    with contextlib.suppress(ChildProcessError):
        while True:
            waiting = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if waiting is None or waiting.si_pid == kept:
                return
            os.waitpid(waiting.si_pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(main())
