"""How many videos are fetched at a time: slow sources hold up each other, and nobody else."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vbench.pipeline.errors import OverloadedError
from vbench.video.errors import StoppedError

WAIT_S = 5.0
"""Longest wait for a slot; whoever waits takes the place of a request that fetches nothing."""
SLICE_S = 0.1
RETRY_AFTER_S = 10.0


class FetchSlots:
    """``slots`` fetches at a time, and ``places`` more that wait up to ``wait_s``; for many threads."""

    def __init__(self, slots: int, places: int, wait_s: float = WAIT_S) -> None:
        self._slots, self._places, self._wait_s = slots, places, wait_s
        self._changed = threading.Condition()
        self._busy = 0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Callers that wait for a slot."""
        return self._waiting

    @contextmanager
    def slot(self, stop: threading.Event) -> Iterator[None]:
        """Have a slot while the block runs.

        Raises:
            OverloadedError: all are in use, and stay so.
            StoppedError: ``stop`` was set meanwhile.
        """
        self._take(stop)
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify()

    def _take(self, stop: threading.Event) -> None:
        with self._changed:
            if self._busy >= self._slots:
                if self._waiting >= self._places:
                    raise self._full()
                self._waiting += 1
                try:
                    self._wait(stop)
                finally:
                    self._waiting -= 1
            self._busy += 1

    def _wait(self, stop: threading.Event) -> None:
        until_s = time.monotonic() + self._wait_s
        while self._busy >= self._slots:
            if stop.is_set():
                raise StoppedError("the request was cancelled")
            if time.monotonic() >= until_s:
                raise self._full()
            self._changed.wait(SLICE_S)

    def _full(self) -> OverloadedError:
        return OverloadedError(
            f"{self._slots} videos are being fetched for other requests, the most that it fetches at a "
            f"time: retry in {RETRY_AFTER_S:g} s, or name a video on the service's node",
            RETRY_AFTER_S,
        )
