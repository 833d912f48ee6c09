"""One reader process, as the service sees it: its messages, the reason why it ended, and how to end it."""

import os
import re
import select
import shlex
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

from vbench.video import errors
from vbench.video.errors import StoppedError, VideoError, VideoTooLargeError
from vbench.video.reader.messages import ForeignTypeError, receive
from vbench.video.types import VideoInfo, VideoLimits

SLICE_MS = 50

_OPEN_FILE = re.compile(r"/proc/self/fd/\d+")
"""The video's path in a reader, for which it is one of its open files."""


class ReaderProcess:
    """The connection to one reader.

    Args:
        display_name: what messages and facts call the video.
        limits: those of the video.
        stop: ends every wait when another thread sets it.
    """

    def __init__(self, display_name: str, limits: VideoLimits, stop: threading.Event) -> None:
        self._display_name, self._limits, self._stop = display_name, limits, stop
        self._connection: socket.socket
        self._pidfd: int | None = None
        self._exit_status: int | None = None
        self.reads_chunks = False
        """Whether it has finished the index."""

    def wait_until_started(self, connection: socket.socket) -> None:
        """Wait until the process runs; ``connection``: the socket to it."""
        self._connection = connection
        self._wait()
        head, handles, _, _ = socket.recv_fds(connection, 64, 1)
        if head != b"started" or len(handles) != 1:
            raise self.exit_error()
        self._pidfd = handles[0]

    def receive(self) -> tuple[str, Any]:
        """Kind and value of its next message; raises what is wrong with the video."""
        self._wait()
        try:
            message = self._receive()
        except (ForeignTypeError, OSError) as error:
            raise self.exit_error() from error
        if message is None:
            raise self.exit_error()
        kind, value = message
        if kind == "ended":
            self._exit_status = value
            raise self.exit_error()
        if kind == "failed":
            raise self._reported_error(*value)
        return kind, value

    def send(self, request: bytes) -> None:
        """Send it a request; if the process has ended, ``receive`` says so."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(request)

    def _receive(self) -> tuple[str, Any] | None:
        try:
            return receive(self._connection)
        except ConnectionResetError:  # it ended before it read a request; its messages are still here
            return receive(self._connection)

    def renamed(self, info: VideoInfo) -> VideoInfo:
        """The facts with the video's display name as path."""
        return replace(info, path=self._display_name)

    def kill(self) -> None:
        """Kill the process, and wait until it has ended."""
        if self._pidfd is None:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        poller.poll(10_000)
        os.close(self._pidfd)
        self._pidfd = None

    def exit_error(self) -> Exception:
        """Why the process ended without a response."""
        if self._exit_status == -signal.SIGXCPU and self.reads_chunks:
            return VideoTooLargeError(
                f"{self._display_name} takes too much CPU time to split: {self._limits.max_read_s:g} s, plus "
                "1 s per 50 MB, are allowed; use longer chunks (chunk_s), or raise limits.max_read_s of the "
                "service"
            )
        if self._exit_status == -signal.SIGXCPU:
            return VideoTooLargeError(
                f"{self._display_name} takes too much CPU time to read: {self._limits.max_read_s:g} s are "
                f"allowed, and {self._limits.max_stall_s:g} s without progress. It has far too many parts "
                "for its length; re-encode it, or raise limits.max_read_s and limits.max_stall_s of the "
                "service"
            )
        if self._exit_status == -signal.SIGXFSZ:
            return self._too_large()
        return VideoError(
            f"{self._display_name} cannot be read: the process that read it "
            + ("ended" if self._exit_status is None else f"was ended by signal {-self._exit_status}")
        )

    def _too_large(self) -> VideoTooLargeError:
        return VideoTooLargeError(
            f"{self._display_name} takes more memory to read than a reader may have: re-encode it with "
            "fewer, smaller parts"
        )

    def _reported_error(self, kind: str, sentence: str) -> Exception:
        if kind == "MemoryError":
            return self._too_large()
        known = getattr(errors, kind, None)
        error = known if isinstance(known, type) and issubclass(known, VideoError) else RuntimeError
        return error(_with_display_name(sentence, self._display_name))

    def _wait(self) -> None:
        """Wait for a message."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        while not poller.poll(SLICE_MS):
            if self._stop.is_set():
                raise StoppedError(f"{self._display_name} is no longer wanted")


def _with_display_name(sentence: str, name: str) -> str:
    """A reader's sentence about its open file, as one about the video; quoted in commands (after ``-i``)."""
    sentence = re.sub(rf"(?<=-i ){_OPEN_FILE.pattern}", lambda _: shlex.quote(name), sentence)
    return _OPEN_FILE.sub(lambda _: name, sentence)
