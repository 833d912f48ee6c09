"""Runs FFmpeg with its output read straight into memory; bounded in time, CPU and memory, always reaped."""

import fcntl
import os
import re
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from vbench.video.errors import ToolMissingError, VideoError, VideoTimeoutError
from vbench.video.ffmpeg import OVERRIDE

_PIPE_BYTES = 1 << 20
_STDERR_BYTES = 64 << 10

_CONSEQUENCES = re.compile(
    r"Conversion failed|Error while filtering|Error processing packet|Error submitting|Task finished"
    r"|Terminating thread|Nothing was written|Error sending frames"
    r"|Error opening (input|output) files?\b|Error while decoding stream"
)
"""Lines of FFmpeg's that only say that something failed before."""


class FFmpegProcess:
    """One run of FFmpeg that writes to a pipe; a context manager that kills and reaps it, whatever happens.

    Its standard input and standard error are unnamed files: no thread has to feed or drain them, and a
    full pipe can block neither side. Where this process is killed, FFmpeg ends too: its input is finite,
    its CPU time limited, and a broken pipe ends it. (A parent-death signal is left out: Linux ties it to
    the thread that started the child, and threads of a pool may end earlier.)

    Belongs to one thread at a time. ``command`` is program and arguments; ``subject`` is what is decoded,
    for messages; ``stdin`` the bytes to feed; ``timeout_s`` how long FFmpeg may keep its reader waiting,
    all waits together; ``memory_bytes`` the address space it may use, past which it fails to allocate.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        subject: str,
        stdin: memoryview | None = None,
        timeout_s: float,
        threads: int,
        memory_bytes: int,
    ) -> None:
        self._subject = subject
        self._timeout_s = self._left_s = timeout_s
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        try:
            self._process = _start(command, stdin, self._stderr)
        except BaseException:
            self._stderr.close()
            raise
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdout, False)
        with suppress(OSError):  # past the user's share of pipe memory the pipe just stays smaller
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        # Set from here, not in the child before exec: code that runs after a fork is unsafe with threads.
        with suppress(ProcessLookupError):
            cpu_s = int(timeout_s * max(1, threads)) + 2
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        """
        filled = 0
        while filled < len(buffer):
            self._wait_readable()
            with suppress(BlockingIOError):
                count = os.readv(self._stdout, [buffer[filled:]])
                if count == 0:
                    break
                filled += count
        return filled

    def finish(self) -> None:
        """Make sure that nothing more comes and that FFmpeg ended well.

        Raises:
            VideoError: FFmpeg gave up, with its reason, or had more to give.
            VideoTimeoutError: the time is used up.
        """
        surplus = self.read_into(memoryview(bytearray(1)))
        if surplus:
            raise VideoError(f"{self._subject}: FFmpeg gave more frames than the index of the video holds")
        start = time.monotonic()
        try:
            status = self._process.wait(timeout=max(0.1, self._left_s))
        except subprocess.TimeoutExpired as error:
            raise self._timed_out() from error
        self._left_s -= time.monotonic() - start
        if status != 0:
            raise VideoError(f"{self._subject} cannot be decoded: {self._reason(status)}")

    def _wait_readable(self) -> None:
        start = time.monotonic()
        poller = select.poll()
        poller.register(self._stdout, select.POLLIN | select.POLLHUP)
        ready = poller.poll(max(0.0, self._left_s) * 1000)
        self._left_s -= time.monotonic() - start
        if not ready:
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
            if line and not line.startswith("Last message repeated"):
                reason = line
        return reason[:300]


def _start(command: Sequence[str], stdin: memoryview | None, stderr: IO[bytes]) -> "subprocess.Popen[bytes]":
    with tempfile.TemporaryFile() as payload:
        if stdin is not None:
            payload.write(stdin)
            payload.seek(0)
        try:
            return subprocess.Popen(
                list(command), stdin=payload, stdout=subprocess.PIPE, stderr=stderr, bufsize=0
            )
        except OSError as error:
            raise ToolMissingError(
                f"{command[0]} cannot be started ({error.strerror}): name a working FFmpeg in {OVERRIDE}"
            ) from error
