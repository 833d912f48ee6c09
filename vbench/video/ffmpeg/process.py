"""Runs FFmpeg and reads its output straight into memory; bounded in time, CPU and memory, always reaped."""

import fcntl
import os
import resource
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from vbench.video.child_environment import child_environment
from vbench.video.errors import (
    DecoderKilledError,
    StoppedError,
    ToolMissingError,
    VideoError,
    VideoTimeoutError,
)
from vbench.video.ffmpeg.executable import OVERRIDE
from vbench.video.ffmpeg.failure_reason import failure_reason
from vbench.video.ffmpeg.process_limits import CPU_TIME_ERROR_S, command_line, cpu_time_s, limit

_PIPE_BYTES = 1 << 20
_STDERR_BYTES = 64 << 10
_SLICE_S = 0.2
_MAX_CPU_S = 1 << 30
"""34 years: longer limits are no limit, and do not fit the kernel's integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FFmpegRun:
    """What the kernel reports of a run of FFmpeg that succeeded."""

    arguments: tuple[str, ...]
    """Its command line while it ran."""
    cpu_s: float | None
    """User and system CPU seconds, including child processes that it waited for; None if SIGCHLD is
    ignored."""


class FFmpegProcess:
    """One run of FFmpeg that writes to a pipe; a context manager that kills and reaps it, whatever happens.

    Standard input and standard error are unnamed files: no thread has to feed or drain them, and a full pipe
    can block neither side. If this process is killed, FFmpeg ends too: its input is finite, its CPU time is
    limited, and a broken pipe ends it. (A parent-death signal would not help: Linux ties it to the thread
    that started the child, and threads of a pool may end earlier.)

    Belongs to one thread at a time. A lower limit that this process has itself stays in force.

    Args:
        command: program and arguments.
        subject: what is decoded, for messages.
        descriptors: open files that FFmpeg inherits.
        stdin: bytes for its standard input.
        timeout_s: seconds that FFmpeg may keep its reader waiting, all waits together; times ``threads``,
            also its CPU seconds.
        threads: of FFmpeg's decoder.
        memory_bytes: address space, beyond which its allocations fail; None: no limit.
        stop: ends a wait within 0.2 s when another thread sets it.

    Raises:
        ToolMissingError: the program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        subject: str,
        descriptors: Sequence[int] = (),
        stdin: memoryview | None = None,
        timeout_s: float,
        threads: int,
        memory_bytes: int | None,
        stop: threading.Event | None = None,
    ) -> None:
        self._subject = subject
        self._timeout_s = self._left_s = timeout_s
        self._stop = stop
        self._cpu_s = int(min(timeout_s * max(1, threads), _MAX_CPU_S)) + 2
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        try:
            self._process = _start(command, descriptors, stdin, self._stderr)
        except BaseException:
            self._stderr.close()
            raise
        # The kernel does not report the command line of a process that has ended already.
        self._arguments = command_line(self._process.pid) or tuple(command)
        try:
            self._set_up(memory_bytes)
        except BaseException:
            self._end()
            raise

    def _set_up(self, memory_bytes: int | None) -> None:
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdout, False)
        with suppress(OSError):  # beyond the user's share of pipe memory, the pipe just stays smaller
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        # Set from here, not in the child before exec: code that runs after a fork is unsafe with threads.
        with suppress(ProcessLookupError):
            self._cpu_s = limit(self._process.pid, resource.RLIMIT_CPU, self._cpu_s, self._cpu_s + 5)
            if memory_bytes is not None:
                limit(self._process.pid, resource.RLIMIT_AS, memory_bytes, memory_bytes)
            limit(self._process.pid, resource.RLIMIT_CORE, 0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()

    def read_into(self, buffer: memoryview) -> int:
        """Fill ``buffer`` (writable bytes) from FFmpeg's output; returns less than its length only at the
        end.

        Raises:
            VideoTimeoutError: the time is used up.
            StoppedError: ``stop`` was set.
        """
        filled = 0
        while filled < len(buffer):
            self._wait(self._has_output)
            with suppress(BlockingIOError):
                count = os.readv(self._stdout, [buffer[filled:]])
                if count == 0:
                    break
                # A wrapper in FFmpeg's place may have become FFmpeg since it was started.
                self._arguments = (not filled and command_line(self._process.pid)) or self._arguments
                filled += count
        return filled

    def finish(self) -> FFmpegRun:
        """Check that no more output comes and that FFmpeg succeeded.

        Raises:
            VideoError: FFmpeg failed, with its reason, or has more output.
            VideoTimeoutError: the time or the CPU time is used up.
            DecoderKilledError: FFmpeg was killed.
            StoppedError: ``stop`` was set.
        """
        surplus = self.read_into(memoryview(bytearray(1)))
        if surplus:
            raise VideoError(
                f"{self._subject} cannot be decoded: FFmpeg output more frames than the index has"
            )
        self._left_s = max(0.1, self._left_s)
        self._wait(self._has_ended)
        used_s = cpu_time_s(self._process.pid)
        status, cpu_s = self._reap()
        if status == 0:
            return FFmpegRun(arguments=self._arguments, cpu_s=cpu_s)
        # FFmpeg may catch SIGXCPU and exit by itself; at the hard limit, the kernel sends SIGKILL.
        if status == -signal.SIGXCPU or used_s > self._cpu_s - CPU_TIME_ERROR_S:
            raise self._timed_out()
        if status == -signal.SIGKILL:
            raise DecoderKilledError(
                f"FFmpeg was killed while it decoded {self._subject}, most likely because the machine or its "
                "container ran out of memory: decode fewer videos at once, or give it more memory"
            )
        self._stderr.seek(0)
        messages = self._stderr.read(_STDERR_BYTES).decode("utf-8", "replace")
        raise VideoError(f"{self._subject} cannot be decoded: {failure_reason(messages, status)}")

    def _reap(self) -> tuple[int, float | None]:
        """The exit status of FFmpeg, which has ended, and its CPU seconds."""
        try:
            _, status, used = os.wait4(self._process.pid, 0)
        except ChildProcessError:  # if SIGCHLD is ignored, the kernel has reaped it
            return self._process.wait(), None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, used.ru_utime + used.ru_stime

    def _has_ended(self, wait_s: float) -> bool:
        """Whether FFmpeg ends within ``wait_s``; does not reap it."""
        deadline = time.monotonic() + wait_s
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):  # if SIGCHLD is ignored, the kernel reaps it
            while os.waitid(os.P_PID, self._process.pid, options) is None:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
        return True

    def _has_output(self, wait_s: float) -> bool:
        poller = select.poll()
        poller.register(self._stdout, select.POLLIN | select.POLLHUP)
        return bool(poller.poll(wait_s * 1000))

    def _wait(self, happens: Callable[[float], bool]) -> None:
        """Wait until ``happens``, which waits for at most the given seconds, returns True."""
        start_s, left_s = time.monotonic(), self._left_s
        while True:
            if self._stop is not None and self._stop.is_set():
                raise StoppedError(f"{self._subject} is no longer wanted")
            done = happens(min(_SLICE_S, max(0.0, self._left_s)))
            self._left_s = left_s - (time.monotonic() - start_s)
            if done:
                return
            if self._left_s <= 0:
                raise self._timed_out()

    def _timed_out(self) -> VideoTimeoutError:
        return VideoTimeoutError(
            f"{self._subject} was not decoded within {self._timeout_s:g} s: "
            "allow more time, or use a smaller or shorter video"
        )


def _start(
    command: Sequence[str], descriptors: Sequence[int], stdin: memoryview | None, stderr: IO[bytes]
) -> "subprocess.Popen[bytes]":
    with tempfile.TemporaryFile() as payload:
        if stdin is not None:
            payload.write(stdin)
            payload.seek(0)
        try:
            return subprocess.Popen(
                list(command),
                stdin=payload,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                pass_fds=descriptors,
                env=child_environment(),
            )
        except OSError as error:
            raise ToolMissingError(
                f"{command[0]} cannot be started ({error.strerror}): name a working FFmpeg in {OVERRIDE}"
            ) from error
