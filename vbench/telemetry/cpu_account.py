"""CPU seconds of a set of processes, including those that have ended."""

from collections.abc import Collection, Mapping

from vbench.linux.procfs import TICKS_PER_S, Stat

Key = tuple[int, int]
"""Process id and start time: a process for good."""

ROUNDING_S = 2 / TICKS_PER_S
"""User and system time are rounded to ticks, each for itself."""


class CpuAccount:
    """Adds up the CPU time of processes, from one sample of ``/proc`` to the next.

    The kernel books a process that ended on the parent that waits for it. A raylet lets the kernel reap its
    workers and waits for none, so all that a replica used since its start would be gone from the sum when it
    dies, and seem to be others' use of the machine. So the time of a process at the last sample is kept,
    unless the time of waited-for children grew by as much in an ancestor. What it used between that sample
    and its end is lost if nobody waited for it.
    """

    def __init__(self) -> None:
        self._before: dict[int, Stat] = {}
        self._lost_s = 0.0

    def sample(self, stats: Mapping[int, Stat], ours: Collection[int]) -> float:
        """CPU seconds until now of ``ours`` and of those that were ours and have ended."""
        # A process that was ours stays ours when it is handed to a parent that is not.
        still = {pid for pid, line in self._before.items() if _lives(line, stats)}
        now = {pid: stats[pid] for pid in still | set(ours)}
        expected: dict[Key, float] = {}
        gone = [line for line in self._before.values() if not _lives(line, stats)]
        for line in gone:
            heir = self._heir(line, stats)
            if heir is None:
                self._lost_s += line.cpu_s
            else:
                expected[_key(heir)] = expected.get(_key(heir), 0.0) + line.cpu_s
        self._lost_s += self._unbooked(expected, stats)
        self._before = now
        return sum(line.cpu_s for line in now.values()) + self._lost_s

    def _heir(self, line: Stat, stats: Mapping[int, Stat]) -> Stat | None:
        """The nearest ancestor, as of the last sample, that is still there."""
        parent = self._before.get(line.parent)
        while parent is not None and not _lives(parent, stats):
            parent = self._before.get(parent.parent)
        return parent

    def _unbooked(self, expected: Mapping[Key, float], stats: Mapping[int, Stat]) -> float:
        """Of the seconds that ancestors should have been booked for, those that none was.

        A process whose parent died before it is waited for by an ancestor further up (a subreaper, or the
        first process of its PID namespace), which then has more than was expected of it.
        """
        spare = {
            _key(line): _children_s(stats[line.pid]) - _children_s(line) - expected.get(_key(line), 0.0)
            for line in self._before.values()
            if _lives(line, stats)
        }
        unbooked_s = 0.0
        for line in self._before.values():
            missing_s = -spare.get(_key(line), 0.0) if _key(line) in expected else 0.0
            if missing_s <= ROUNDING_S:
                continue
            above = self._before.get(line.parent)
            while above is not None and missing_s > 0:
                taken_s = min(missing_s, max(0.0, spare.get(_key(above), 0.0)))
                spare[_key(above)] = spare.get(_key(above), 0.0) - taken_s
                missing_s -= taken_s
                above = self._before.get(above.parent)
            unbooked_s += missing_s
        return unbooked_s


def _key(line: Stat) -> Key:
    return line.pid, line.started


def _lives(line: Stat, stats: Mapping[int, Stat]) -> bool:
    return line.pid in stats and stats[line.pid].started == line.started


def _children_s(line: Stat) -> float:
    return line.cpu_s - line.own_cpu_s
