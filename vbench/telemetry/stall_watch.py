"""A thread that should wake every 50 ms, to find out for how long its process or the machine stood still."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vbench.record.harness import Stall

PERIOD_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """Between two wakes."""

    at_s: float
    """Monotonic time at its end."""
    passed_s: float
    suspended_s: float
    """Of it, while the machine was suspended."""
    stood_s: float | None
    """Of it, beyond the period, while the thread did not wait for a CPU; None if not known."""

    @property
    def began_s(self) -> float:
        """In monotonic time, which stands still while the machine is suspended."""
        return self.at_s - self.passed_s + self.suspended_s


class StallWatch:
    """Keeps every gap between two wakes that is longer than two periods.

    The thread sleeps in the kernel without Python's lock, so a gap is what the scheduler, the lock, a stopped
    process (SIGSTOP, a frozen cgroup, a debugger) or a suspended machine added to the 50 ms. CLOCK_BOOTTIME
    counts the time that a machine was suspended, CLOCK_MONOTONIC does not: clock_gettime(2).

    The kernel counts how long a thread was ready and waited for a CPU (``/proc/PID/schedstat``, see
    Documentation/scheduler/sched-stats.rst of the kernel): that is load, not a stop.
    """

    def __init__(self, where: str) -> None:
        """``where``: the process, as the record names it."""
        self._where = where
        self._gaps: list[_Gap] = []
        self._wakes = 0
        self._last = _now()
        self._last_waited_s: float | None = None
        self._counts = False
        """Whether the kernel counts how long threads wait."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch while the block runs; a gap that is open as it ends counts."""
        stop = threading.Event()
        self._last = _now()

        def run() -> None:
            self._last_waited_s = _waited_s()
            self._counts = self._last_waited_s is not None
            stopped = False
            while not stopped:
                stopped = stop.wait(PERIOD_S)
                self._wake(_waited_s())

        thread = threading.Thread(target=run, name="stall-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _wake(self, waited_s: float | None) -> None:
        """Note the gap before this moment; ``waited_s``: for which the thread has waited for a CPU so far."""
        monotonic_s, boot_s = _now()
        passed_s = boot_s - self._last[1]
        suspended_s = passed_s - (monotonic_s - self._last[0])
        self._wakes += 1
        if passed_s > 2 * PERIOD_S:
            stood_s = None
            if waited_s is not None and self._last_waited_s is not None:
                stood_s = max(0.0, passed_s - PERIOD_S - (waited_s - self._last_waited_s))
            # The two clocks are read one after the other.
            suspended_s = suspended_s if suspended_s > PERIOD_S else 0.0
            gap = _Gap(at_s=monotonic_s, passed_s=passed_s, suspended_s=suspended_s, stood_s=stood_s)
            self._gaps.append(gap)
        self._last, self._last_waited_s = (monotonic_s, boot_s), waited_s

    def worst(self, from_s: float | None = None, to_s: float | None = None) -> Stall:
        """The longest gap that reaches into a time, given in monotonic seconds; all the time by default."""
        inside = [
            gap
            for gap in self._gaps
            if (from_s is None or gap.at_s >= from_s) and (to_s is None or gap.began_s <= to_s)
        ]
        longest = max(inside, key=lambda gap: gap.passed_s, default=None)
        return Stall(
            where=self._where,
            worst_ms=1000 * (longest.passed_s if longest else PERIOD_S if self._wakes else 0.0),
            suspended_ms=1000 * longest.suspended_s if longest else 0.0,
            at_s=longest.at_s if longest else None,
            wakes=self._wakes,
            stood_ms=1000 * sum(gap.stood_s or 0.0 for gap in inside) if self._counts else None,
        )


def _now() -> tuple[float, float]:
    return time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)


def _waited_s() -> float | None:
    """Seconds for which this thread was ready and waited for a CPU, since it began; None if not counted."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
