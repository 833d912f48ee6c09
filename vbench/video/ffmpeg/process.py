"""Runs FFmpeg with its output read straight into memory; bounded in time, CPU and memory, always reaped."""

import fcntl
import os
import re
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
from pathlib import Path
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

_PIPE_BYTES = 1 << 20
_STDERR_BYTES = 64 << 10
_SLICE_S = 0.2
CPU_TIME_ERROR_S = 0.25
"""By how much a busy kernel ends a process before proc(5) says that its limit was reached."""
_LONGEST_S = 1 << 30
"""34 years: what takes longer is unbounded, and fits no integer of the kernel's."""

_CONSEQUENCES = re.compile(
    r"Conversion failed|Error while filtering|Error processing packet|Error submitting|Task finished"
    r"|Terminating thread|Nothing was written|Error sending frames"
    r"|Error opening (input|output) files?\b|Error while decoding stream"
)
"""Lines of FFmpeg's that only say that something failed before."""

_MEANINGS = {
    "Invalid too big or non positive size for width": "a picture is not of the size of the first",
    "automatic conversion is disabled": "a picture is not of the pixel format or colours of the first",
}
"""What FFmpeg's words mean if they come from the filters that ``command.frame_graph`` sets up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FFmpegRun:
    """What the kernel says of a run of FFmpeg that ended well."""

    arguments: tuple[str, ...]
    """Its command line while it ran."""
    cpu_s: float | None
    """CPU seconds that it had used, user's and system's, with those of processes that it waited for; None if
    SIGCHLD is ignored."""


class FFmpegProcess:
    """One run of FFmpeg that writes to a pipe; a context manager that kills and reaps it, whatever happens.

    Its standard input and standard error are unnamed files: no thread has to feed or drain them, and a
    full pipe can block neither side. Where this process is killed, FFmpeg ends too: its input is finite,
    its CPU time limited, and a broken pipe ends it. (A parent-death signal is left out: Linux ties it to
    the thread that started the child, and threads of a pool may end earlier.)

    Belongs to one thread at a time. ``command`` is program and arguments, ``descriptors`` the open files it
    inherits; ``subject`` is what is decoded, for messages; ``stdin`` the bytes to feed; ``timeout_s`` how
    long FFmpeg may keep its reader waiting, all waits together, and, times ``threads``, the CPU time it may
    use; ``memory_bytes`` the address space it may use, past which it fails to allocate, None without bound.
    ``stop`` may be set by another thread, and ends a wait within 0.2 s. A limit that this process has itself
    is not passed.
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
        self._cpu_s = int(min(timeout_s * max(1, threads), _LONGEST_S)) + 2
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        try:
            self._process = _start(command, descriptors, stdin, self._stderr)
        except BaseException:
            self._stderr.close()
            raise
        # Of a process that has ended already, the kernel does not say what it ran.
        self._arguments = self._command_line() or tuple(command)
        try:
            self._set_up(memory_bytes)
        except BaseException:
            self._end()
            raise

    def _set_up(self, memory_bytes: int | None) -> None:
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdout, False)
        with suppress(OSError):  # past the user's share of pipe memory the pipe just stays smaller
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        # Set from here, not in the child before exec: code that runs after a fork is unsafe with threads.
        with suppress(ProcessLookupError):
            self._cpu_s = _limit(self._process.pid, resource.RLIMIT_CPU, self._cpu_s, self._cpu_s + 5)
            if memory_bytes is not None:
                _limit(self._process.pid, resource.RLIMIT_AS, memory_bytes, memory_bytes)
            _limit(self._process.pid, resource.RLIMIT_CORE, 0, 0)

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
        """Fill ``buffer`` (writable bytes) from FFmpeg's output; less than its length only at the end.

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
                # A program in FFmpeg's place may have become FFmpeg since it was started.
                self._arguments = (not filled and self._command_line()) or self._arguments
                filled += count
        return filled

    def finish(self) -> FFmpegRun:
        """Make sure that nothing more comes and that FFmpeg ended well; what the kernel says of the run.

        Raises:
            VideoError: FFmpeg gave up, with its reason, or had more to give.
            VideoTimeoutError: the time is used up, the CPU's included.
            DecoderKilledError: FFmpeg was killed.
            StoppedError: ``stop`` was set.
        """
        surplus = self.read_into(memoryview(bytearray(1)))
        if surplus:
            raise VideoError(f"{self._subject}: FFmpeg gave more frames than the index of the video holds")
        self._left_s = max(0.1, self._left_s)
        self._wait(self._has_ended)
        used_s = _cpu_time_s(self._process.pid)
        status, cpu_s = self._reap()
        if status == 0:
            return FFmpegRun(arguments=self._arguments, cpu_s=cpu_s)
        # FFmpeg may catch SIGXCPU and leave by itself; SIGKILL is what the kernel sends at the hard limit.
        if status == -signal.SIGXCPU or used_s > self._cpu_s - CPU_TIME_ERROR_S:
            raise self._timed_out()
        if status == -signal.SIGKILL:
            raise DecoderKilledError(
                f"FFmpeg was killed while it decoded {self._subject}, most likely because the machine or its "
                "container ran out of memory: decode fewer videos at once, or give it more memory"
            )
        raise VideoError(f"{self._subject} cannot be decoded: {self._reason(status)}")

    def _reap(self) -> tuple[int, float | None]:
        """The exit status of FFmpeg, which has ended, and its CPU seconds."""
        try:
            _, status, used = os.wait4(self._process.pid, 0)
        except ChildProcessError:  # if SIGCHLD is ignored, the kernel has reaped it
            return self._process.wait(), None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, used.ru_utime + used.ru_stime

    def _command_line(self) -> tuple[str, ...]:
        """The program and its arguments, of a process that runs; empty once it has ended. See proc(5)."""
        try:
            words = Path(f"/proc/{self._process.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ()
        return tuple(os.fsdecode(word) for word in words[:-1])

    def _has_ended(self, wait_s: float) -> bool:
        """Whether FFmpeg has ended, or does within ``wait_s``; leaves it to be reaped."""
        deadline = time.monotonic() + wait_s
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel reaps
            while os.waitid(os.P_PID, self._process.pid, options) is None:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
        return True

    def _has_output(self, wait_s: float) -> bool:
        poller = select.poll()
        poller.register(self._stdout, select.POLLIN | select.POLLHUP)
        return bool(poller.poll(wait_s * 1000))

    def _wait(self, happened: Callable[[float], bool]) -> None:
        """Until ``happened``, which waits for at most as many seconds as it is given."""
        start_s, left_s = time.monotonic(), self._left_s
        while True:
            if self._stop is not None and self._stop.is_set():
                raise StoppedError(f"{self._subject} is no longer wanted")
            done = happened(min(_SLICE_S, max(0.0, self._left_s)))
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

    def _reason(self, status: int) -> str:
        """FFmpeg's own reason in one line, without addresses: the last it gave before it began to give up."""
        self._stderr.seek(0)
        text = self._stderr.read(_STDERR_BYTES).decode("utf-8", "replace")
        lines = [re.sub(r"^(\[[^\]]*\]\s*)+", "", line).strip().rstrip(".") for line in text.splitlines()]
        reason = (
            f"FFmpeg was ended by signal {-status}" if status < 0 else f"FFmpeg ended with status {status}"
        )
        for line in lines:
            if _CONSEQUENCES.search(line):
                given = line.rpartition(": ")[2] if ": " in line else ""
                return (reason if reason in lines or not given else given)[:300]
            meaning = next((text for words, text in _MEANINGS.items() if words in line), None)
            if meaning is not None:
                return meaning
            if line and not line.startswith("Last message repeated"):
                reason = line
        return reason[:300]


def _limit(pid: int, which: int, soft: int, hard: int) -> int:
    """Limit a process to what is wanted, or to its hard limit where that is less; the soft limit it got."""
    allowed = resource.prlimit(pid, which)[1]
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    resource.prlimit(pid, which, (soft, hard))
    return soft


def _cpu_time_s(pid: int) -> float:
    """CPU time, user's and system's, of a process that has ended but was not reaped, else 0; see proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
