"""One process that reads a video, as the service sees it: what it says, why it was lost, and its end."""

import os
import select
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


class Reader:
    """One reader, as the service sees it."""

    def __init__(self, path: str, limits: VideoLimits, stop: threading.Event) -> None:
        self._path, self._limits, self._stop = path, limits, stop
        self._connection: socket.socket
        self._process: int | None = None
        self._ended: int | None = None
        self.reads_chunks = False
        """Whether it is done with the index."""

    def begin(self, connection: socket.socket) -> None:
        """Wait until it runs."""
        self._connection = connection
        self._wait()
        head, handles, _, _ = socket.recv_fds(connection, 64, 1)
        if head != b"started" or len(handles) != 1:
            raise self.lost()
        self._process = handles[0]

    def next(self) -> tuple[str, Any]:
        """What it says next; raises what is wrong with the video."""
        self._wait()
        try:
            message = self._receive()
        except (ForeignTypeError, OSError) as error:
            raise self.lost() from error
        if message is None:
            raise self.lost()
        kind, value = message
        if kind == "ended":
            self._ended = value
            raise self.lost()
        if kind == "failed":
            raise self._failure(*value)
        return kind, value

    def ask(self, words: bytes) -> None:
        """Tell it something; if it has ended, ``next`` says so."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(words)

    def _receive(self) -> tuple[str, Any] | None:
        try:
            return receive(self._connection)
        except ConnectionResetError:  # it ended before it read what it was told; what it said is still here
            return receive(self._connection)

    def named(self, info: VideoInfo) -> VideoInfo:
        """The facts with the path that this process knows the video by."""
        return replace(info, path=self._path)

    def end(self) -> None:
        """Have it end, and wait until it has."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        poller = select.poll()
        poller.register(self._process, select.POLLIN)
        poller.poll(10_000)
        os.close(self._process)
        self._process = None

    def lost(self) -> Exception:
        """Why it ended without an answer."""
        if self._ended == -signal.SIGXCPU and self.reads_chunks:
            return VideoTooLargeError(
                f"{self._path} takes more CPU time to cut into chunks than a reader may have "
                f"({self._limits.max_read_s:g} s, and 1 s for each 50 MB): ask for longer chunks (chunk_s), "
                "or raise limits.max_read_s of the service"
            )
        if self._ended == -signal.SIGXCPU:
            return VideoTooLargeError(
                f"{self._path} takes more than {self._limits.max_read_s:g} s of CPU time to read, or "
                f"{self._limits.max_stall_s:g} s without getting on: it has far too many parts for its "
                "length; encode it again, or raise limits.max_read_s and limits.max_stall_s of the service"
            )
        if self._ended == -signal.SIGXFSZ:
            return self._too_large()
        return VideoError(
            f"{self._path} cannot be read: the process that read it "
            + ("ended" if self._ended is None else f"was ended by signal {-self._ended}")
        )

    def _too_large(self) -> VideoTooLargeError:
        return VideoTooLargeError(
            f"{self._path} takes more memory to read than a reader may have: encode it anew with fewer, "
            "smaller parts"
        )

    def _failure(self, kind: str, sentence: str) -> Exception:
        if kind == "MemoryError":
            return self._too_large()
        found = getattr(errors, kind, None)
        error = found if isinstance(found, type) and issubclass(found, VideoError) else RuntimeError
        return error(_renamed(sentence, self._path))

    def _wait(self) -> None:
        """Until it says something."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        while not poller.poll(SLICE_MS):
            if self._stop.is_set():
                raise StoppedError(f"{self._path} is no longer wanted")


def _renamed(sentence: str, path: str) -> str:
    """Of a reader the video is one of its open files."""
    words = [path if word.startswith("/proc/self/fd/") else word for word in sentence.split(" ")]
    return " ".join(words)
