"""Receives the times of frames from a filter of FFmpeg, while FFmpeg runs."""

import os
import re
import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

_TIME = re.compile(rb"frame:\d+ +pts:(\S+) ")
_LONGEST_WAIT_S = 60.0
"""A time is written before its picture is, so that it is on its way when the picture is there."""


class FrameTimes:
    """A pipe whose write end FFmpeg inherits; a context manager, to be left when FFmpeg has ended.

    A pipe and not a file: FFmpeg sets its filters up again when the stream changes its format, and would then
    begin the file again. A thread empties it, so that FFmpeg never waits for its reader.
    """

    def __init__(self) -> None:
        self._source, self.descriptor = os.pipe()
        """``descriptor`` is for FFmpeg to inherit, and closed here once it has."""
        self._times: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._receive, name="frame times", daemon=True)
        self._inherited = False

    def filters(self) -> list[tuple[str, dict[str, Any]]]:
        """Filters that write each frame's pts before they pass the frame on."""
        return [
            ("metadata", {"mode": "add", "key": "seen", "value": "1"}),
            ("metadata", {"mode": "print", "file": f"/proc/self/fd/{self.descriptor}", "direct": "1"}),
            ("metadata", {"mode": "delete", "key": "seen"}),
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inherited()
        self._thread.join()
        os.close(self._source)

    def inherited(self) -> None:
        """FFmpeg was started: the end of its output is the end of the times."""
        if not self._inherited:
            self._inherited = True
            os.close(self.descriptor)

    def next(self) -> int | None:
        """The next frame's pts; None after the last.

        Raises:
            ValueError: the frame has none, or FFmpeg does not write it.
        """
        try:
            text = self._times.get(timeout=_LONGEST_WAIT_S)
        except Empty:
            raise ValueError("FFmpeg does not say when a frame is shown") from None
        return None if text is None else int(text)

    def _receive(self) -> None:
        left = b""
        while data := os.read(self._source, 1 << 16):
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                found = _TIME.match(line)
                if found:
                    self._times.put(found[1])
        self._times.put(None)
