"""Samples of one node while requests run: CPU (ours and others'), memory, network, object store."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from vbench import procfs
from vbench.record import NodeSample

KERNEL_THREADS = 2
"""kthreadd, the parent of all kernel threads: what they do they do for those that run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUse:
    """An object store at one moment."""

    used_bytes: int
    spilled_bytes: int
    """Since the node started."""


class ForeignCpu:
    """CPU time of processes that are neither the trial's nor the kernel's, between two looks."""

    def __init__(self, root: int) -> None:
        """``root`` and all its descendants are the trial's."""
        self._root = root
        self._before: dict[tuple[int, int], float] = {}
        self._machine = procfs.machine_cpu_s()
        self.look()

    def look(self) -> tuple[float, float, str | None]:
        """Since the last look: percent of the machine in use, percent by others, the largest of those.

        A process that started and ended between two looks is not seen.
        """
        stats = {line.pid: line for pid in procfs.pids() if (line := procfs.stat(pid))}
        ours = _descendants(stats, self._root)
        kernel = _descendants(stats, KERNEL_THREADS)
        now: dict[tuple[int, int], float] = {}
        spent: list[tuple[float, str]] = []
        for pid, line in stats.items():
            if pid in ours or pid in kernel:
                continue
            now[pid, line.started] = line.own_cpu_s
            before = self._before.get((pid, line.started), 0.0 if self._before else line.own_cpu_s)
            spent.append((line.own_cpu_s - before, line.name))
        busy, everything = procfs.machine_cpu_s()
        passed = max(everything - self._machine[1], 1e-9)
        percent = 100 * (busy - self._machine[0]) / passed
        self._before, self._machine = now, (busy, everything)
        largest = max(spent, default=(0.0, None))
        return percent, 100 * sum(cpu for cpu, _ in spent) / passed, largest[1] if largest[0] > 0 else None


def _descendants(stats: dict[int, procfs.Stat], root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, line in stats.items():
        children.setdefault(line.parent, []).append(pid)
    inside, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        inside.add(pid)
        waiting += children.get(pid, [])
    return inside


class Sampler:
    """Takes samples of this node in a thread of its own."""

    def __init__(self, node: str, root: int, period_s: float, store: Callable[[], StoreUse]) -> None:
        """``root``: the trial's first process. ``store``: asks the node's object store."""
        self.samples: list[NodeSample] = []
        self._node = node
        self._period_s = period_s
        self._store = store
        self._cpu = ForeignCpu(root)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stop.is_set():
                due += self._period_s
                self._stop.wait(max(0.0, due - time.monotonic()))
                self.samples.append(self._sample())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for us
            self._error = error

    def _sample(self) -> NodeSample:
        percent, foreign, name = self._cpu.look()
        memory = psutil.virtual_memory()
        nics = psutil.net_io_counters(pernic=True)
        outer = [counters for nic, counters in nics.items() if nic != "lo"]
        store = self._store()
        return NodeSample(
            node=self._node,
            at_s=time.monotonic(),
            unix_s=time.time(),
            cpu_percent=percent,
            foreign_cpu_percent=foreign,
            foreign_process=name,
            memory_used_mb=(memory.total - memory.available) / 1e6,
            memory_available_mb=memory.available / 1e6,
            nic_sent_bytes=sum(counters.bytes_sent for counters in outer),
            nic_received_bytes=sum(counters.bytes_recv for counters in outer),
            loopback_bytes=nics["lo"].bytes_sent if "lo" in nics else 0,
            object_store_used_mb=store.used_bytes / 1e6,
            spilled_mb=store.spilled_bytes / 1e6,
            gpu_percent=None,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample while the block runs, once more at its end; what a sample raised is raised here."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error
