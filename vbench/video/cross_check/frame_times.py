"""Receives the PTS of frames from a filter of FFmpeg while it runs."""

import os
import re
import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

_TIME = re.compile(rb"frame:\d+ +pts:(\S+) ")
_MAX_WAIT_S = 60.0
"""A PTS is written before its picture, so it should be there when the picture has arrived."""


class FramePtsPipe:
    """A pipe whose write end FFmpeg inherits; a context manager, to be left when FFmpeg has ended.

    Not a file: FFmpeg reconfigures its filters when the stream changes its format, and would then overwrite
    the file. A thread empties the pipe, so that FFmpeg never blocks on it.
    """

    def __init__(self) -> None:
        self._source, self.descriptor = os.pipe()
        """``descriptor``: the write end, for FFmpeg to inherit; closed here afterwards."""
        self._times: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._receive, name="frame times", daemon=True)
        self._is_closed = False

    def filters(self) -> list[tuple[str, dict[str, Any]]]:
        """Filters that write each frame's PTS before they pass the frame on."""
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
        self.close_write_end()
        self._thread.join()
        os.close(self._source)

    def close_write_end(self) -> None:
        """Close the write end here, after FFmpeg has started: the end of its output is the end of the PTS."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self.descriptor)

    def next(self) -> int | None:
        """The next frame's PTS; None after the last.

        Raises:
            ValueError: the frame has none, or FFmpeg does not write it.
        """
        try:
            text = self._times.get(timeout=_MAX_WAIT_S)
        except Empty:
            raise ValueError("FFmpeg did not report the PTS of a frame") from None
        return None if text is None else int(text)

    def _receive(self) -> None:
        left = b""
        while data := os.read(self._source, 1 << 16):
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                match = _TIME.match(line)
                if match:
                    self._times.put(match[1])
        self._times.put(None)
