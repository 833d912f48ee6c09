"""A thread that should wake every 50 ms: how long its process, or the whole machine, stood still."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vbench.record import Stall

PERIOD_S = 0.05


class StallWatch:
    """Keeps every gap between two wakes that is worth the name.

    The thread sleeps in the kernel without Python's lock, so a gap is what the scheduler, the lock, a stopped
    process (SIGSTOP, a frozen cgroup, a debugger) or a suspended machine added to the 50 ms. CLOCK_BOOTTIME
    counts the time that a machine was suspended, CLOCK_MONOTONIC does not: clock_gettime(2).
    """

    def __init__(self, where: str) -> None:
        """``where``: whose stalls these are, in the record's words."""
        self._where = where
        self._gaps: list[tuple[float, float, float]] = []
        """Monotonic time at the gap's end, seconds of it, and of these the seconds suspended."""
        self._wakes = 0
        self._last = _now()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch while the block runs; a gap that is open as it ends counts."""
        stop = threading.Event()
        self._last = _now()

        def run() -> None:
            while not stop.wait(PERIOD_S):
                self._wake()

        thread = threading.Thread(target=run, name="stall-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._wake()

    def _wake(self) -> None:
        monotonic_s, boot_s = _now()
        passed_s = boot_s - self._last[1]
        suspended_s = passed_s - (monotonic_s - self._last[0])
        self._wakes += 1
        if passed_s > 2 * PERIOD_S:
            # The two clocks are read one after the other.
            self._gaps.append((monotonic_s, passed_s, suspended_s if suspended_s > PERIOD_S else 0.0))
        self._last = (monotonic_s, boot_s)

    def worst(self, from_s: float | None = None, to_s: float | None = None) -> Stall:
        """The longest gap that reaches into a time, given in monotonic seconds; all the time by default."""
        inside = [
            (passed_s, suspended_s, at_s)
            for at_s, passed_s, suspended_s in self._gaps
            if (from_s is None or at_s >= from_s) and (to_s is None or at_s - passed_s + suspended_s <= to_s)
        ]
        passed_s, suspended_s, at_s = max(inside, default=(PERIOD_S if self._wakes else 0.0, 0.0, None))
        return Stall(
            where=self._where,
            worst_ms=1000 * passed_s,
            suspended_ms=1000 * suspended_s,
            at_s=at_s,
            wakes=self._wakes,
        )


def _now() -> tuple[float, float]:
    return time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
