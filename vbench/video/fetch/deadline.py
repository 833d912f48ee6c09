"""How long work may take, checked while it waits: a total, and whether anybody still wants it."""

import threading
import time

SLICE_S = 0.1
"""Longest wait in one piece: how soon a wait notices that nobody wants its result any more."""


class TimeIsUpError(Exception):
    """The deadline passed; whoever set it says so to the user."""


class Deadline:
    """``timeout_s`` from now on, for all waits together; ``stop`` ends them earlier."""

    def __init__(self, timeout_s: float, stop: threading.Event | None = None) -> None:
        self.timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._stop = stop or threading.Event()

    @property
    def left_s(self) -> float:
        """Seconds until it passes; 0 or less once it has."""
        return self._until_s - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether nobody wants the result any more."""
        return self._stop.is_set()

    def check(self) -> None:
        """TimeIsUpError once the time is up, or nobody wants the result any more (``stopped`` says which)."""
        if self.stopped or self.left_s <= 0:
            raise TimeIsUpError

    def slice_s(self) -> float:
        """How long to wait in one piece, above 0; raises as ``check``."""
        self.check()
        return max(0.001, min(SLICE_S, self.left_s))

    def sleep(self, seconds: float) -> None:
        """Wait that long; raises as ``check``, at once if less than that is left."""
        if self._stop.wait(max(0.0, min(seconds, self.left_s))) or self.left_s <= 0:
            raise TimeIsUpError
