"""A deadline for many waits together, which can also be cancelled from another thread."""

import threading
import time

SLICE_S = 0.1
"""Longest single wait: how soon a wait notices a cancellation."""


class DeadlineExceededError(Exception):
    """The deadline passed, or the work was cancelled; who set the deadline tells the user."""


class Deadline:
    """Ends ``timeout_s`` seconds from now, or when ``stop`` is set."""

    def __init__(self, timeout_s: float, stop: threading.Event | None = None) -> None:
        self.timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._stop = stop or threading.Event()

    @property
    def left_s(self) -> float:
        """Seconds left; 0 or less after the deadline."""
        return self._until_s - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the work was cancelled."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise DeadlineExceededError after the deadline or a cancellation (``stopped`` says which)."""
        if self.stopped or self.left_s <= 0:
            raise DeadlineExceededError

    def slice_s(self) -> float:
        """How long to wait next, above 0; raises as ``check``."""
        self.check()
        return max(0.001, min(SLICE_S, self.left_s))

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; raises as ``check``, and at the deadline if less than that is left."""
        if self._stop.wait(max(0.0, min(seconds, self.left_s))) or self.left_s <= 0:
            raise DeadlineExceededError
