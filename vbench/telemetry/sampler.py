"""Samples of one node while requests run: CPU (ours and others'), memory, network, object store."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from vbench import procfs
from vbench.record import NodeSample

KTHREADD = "kthreadd"
"""The parent of all kernel threads: what they do they do for those that run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUse:
    """An object store at one moment."""

    used_bytes: int
    spilled_bytes: int
    """Since the node started."""
    fallback_bytes: int
    """On disk now because the store was full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuShares:
    """CPU seconds since boot: of the trial, of kernel threads, and the largest other process's name."""

    trial_s: float
    kernel_s: float
    foreign: str | None


class CpuWatch:
    """Tells the trial's own CPU time from that of others."""

    def __init__(self, root: int) -> None:
        """``root`` and all its descendants are the trial's."""
        self._root = root
        self._before: dict[tuple[int, int], float] | None = None

    def look(self) -> CpuShares:
        """CPU seconds until now.

        A process that has ended is in its parent's account once that has waited for it, so the trial's sum
        over living processes and those they waited for misses nothing. What others used is therefore best
        taken as the machine's busy time less the trial's and the kernel's: that sees also what came and went
        between two looks. The name is of the process of others that used most since the look before.
        """
        stats = {line.pid: line for pid in procfs.pids() if (line := procfs.stat(pid))}
        ours = _descendants(stats, [self._root])
        kernel = _descendants(stats, [line.pid for line in stats.values() if line.name == KTHREADD])
        others = [line for pid, line in stats.items() if pid not in ours and pid not in kernel]
        now = {(line.pid, line.started): line.own_cpu_s for line in others}
        before = now if self._before is None else self._before
        spent = [(line.own_cpu_s - before.get((line.pid, line.started), 0.0), line.name) for line in others]
        self._before = now
        largest, name = max(spent, default=(0.0, ""))
        return CpuShares(
            trial_s=sum(stats[pid].cpu_s for pid in ours),
            kernel_s=sum(stats[pid].own_cpu_s for pid in kernel),
            foreign=name if largest > 0 else None,
        )


def _descendants(stats: dict[int, procfs.Stat], roots: list[int]) -> set[int]:
    """``roots`` and all below them, of what is in ``stats``."""
    children: dict[int, list[int]] = {}
    for pid, line in stats.items():
        children.setdefault(line.parent, []).append(pid)
    inside: set[int] = set()
    waiting = [root for root in roots if root in stats]
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
        self._cpu = CpuWatch(root)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stop.is_set():
                # What a stall has made us miss is not caught up with: each sample stands for its own time.
                due = max(due + self._period_s, time.monotonic())
                self._stop.wait(max(0.0, due - time.monotonic()))
                self.samples.append(self._sample())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for us
            self._error = error

    def _sample(self) -> NodeSample:
        shares = self._cpu.look()
        machine = procfs.machine_cpu()
        memory = psutil.virtual_memory()
        nics = psutil.net_io_counters(pernic=True)
        outer = [counters for nic, counters in nics.items() if nic != "lo"]
        store = self._store()
        return NodeSample(
            node=self._node,
            at_s=time.monotonic(),
            unix_s=time.time(),
            cpu_all_s=machine.all_s,
            cpu_busy_s=machine.busy_s,
            cpu_trial_s=shares.trial_s,
            cpu_kernel_s=shares.kernel_s,
            cpu_stolen_s=machine.stolen_s,
            foreign_process=shares.foreign,
            memory_used_mb=(memory.total - memory.available) / 1e6,
            memory_available_mb=memory.available / 1e6,
            nic_sent_bytes=sum(counters.bytes_sent for counters in outer),
            nic_received_bytes=sum(counters.bytes_recv for counters in outer),
            loopback_bytes=nics["lo"].bytes_sent if "lo" in nics else 0,
            object_store_used_mb=store.used_bytes / 1e6,
            spilled_mb=store.spilled_bytes / 1e6,
            fallback_mb=store.fallback_bytes / 1e6,
            gpu_percent=None,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample as the block begins, while it runs, and as it ends; what a sample raised is raised here."""
        self.samples.append(self._sample())
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error
