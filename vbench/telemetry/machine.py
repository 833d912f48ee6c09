"""Samples of the machine that runs the nodes: CPU (the trial's, the kernel's, others'), memory, GPUs."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from vbench.linux import procfs
from vbench.record.samples import CpuBounds, MachineSample
from vbench.telemetry import gpus
from vbench.telemetry.cpu_account import CpuAccount
from vbench.telemetry.cpu_bounds import CpuBoundsWatch
from vbench.telemetry.periodic import repeated
from vbench.telemetry.roles import RoleWatch

KTHREADD = "kthreadd"
"""The parent of all kernel threads. Their time counts for no program."""

STOPPED_STATES = "Tt"
"""By a signal, and by a debugger: proc(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuShares:
    """CPU seconds since boot: of the trial, of kernel threads, and the largest other process's name."""

    trial_s: float
    kernel_s: float
    foreign: str | None
    ours: frozenset[int]
    """Process ids of the trial."""
    stopped: tuple[str, ...]
    """Processes of the trial that a signal or a debugger has stopped, as NAME (PID)."""
    by_role_s: dict[str, float]
    """Of the trial since the first sample, by role."""
    bounds: CpuBounds


class CpuWatch:
    """Separates the trial's own CPU time from that of others."""

    def __init__(self, roots: Sequence[int]) -> None:
        """``roots`` and all their descendants are the trial's."""
        self._roots = roots
        self._account = CpuAccount()
        self._roles = RoleWatch(roots)
        self._bounds = CpuBoundsWatch()
        self._before: dict[tuple[int, int], float] | None = None

    def sample(self, *, begins: bool = False) -> CpuShares:
        """CPU seconds until now; ``begins``: the bounds of later samples are compared with those of this one.

        The trial's sum includes its processes that have ended (vbench.telemetry.cpu_account). What others
        used is therefore best taken as the machine's busy time less the trial's and the kernel's: which
        includes what came and went between two samples. The name is of the other process that used most since
        the sample before.
        """
        stats = procfs.all_stats()
        ours = procfs.descendants(stats, self._roots)
        kernel = procfs.descendants(stats, [line.pid for line in stats.values() if line.name == KTHREADD])
        others = [line for pid, line in stats.items() if pid not in ours and pid not in kernel]
        now = {(line.pid, line.started): line.own_cpu_s for line in others}
        before = now if self._before is None else self._before
        spent = [(line.own_cpu_s - before.get((line.pid, line.started), 0.0), line.name) for line in others]
        self._before = now
        largest, name = max(spent, default=(0.0, ""))
        by_role_s, roles = self._roles.sample(stats, ours)
        return CpuShares(
            trial_s=self._account.sample(stats, ours),
            kernel_s=sum(stats[pid].own_cpu_s for pid in kernel),
            foreign=name if largest > 0 else None,
            ours=frozenset(ours),
            stopped=tuple(
                f"{stats[pid].name} ({pid})" for pid in sorted(ours) if stats[pid].state in STOPPED_STATES
            ),
            by_role_s=by_role_s,
            bounds=self._bounds.sample(stats, roles, begins=begins),
        )


class MachineSampler:
    """Samples this machine from a process that sees all others: the harness, not the load process, which on
    an emulated cluster is in a PID namespace."""

    def __init__(self, roots: Sequence[int], period_s: float) -> None:
        """``roots``: processes of the trial; they and all below them are the trial."""
        self.samples: list[MachineSample] = []
        self._period_s = period_s
        self._cpu = CpuWatch(roots)
        self._lock = threading.Lock()
        self._marked: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample when the block begins, while it runs, and when it ends; errors are raised here."""
        with gpus.watching() as self._gpus, repeated(self._take, self._period_s):
            yield

    def sample_now(self) -> None:
        """Take a sample now. The first of these begins the measured time, and the last ends it."""
        self._marked.append(self._take(begins=not self._marked))

    def measured(self) -> list[MachineSample]:
        """The samples of the measured time, both ends included; empty if it did not begin and end."""
        if len(self._marked) < 2:
            return []
        return self.samples[self._marked[0] : self._marked[-1] + 1]

    def _take(self, *, begins: bool = False) -> int:
        """Append a sample; its index."""
        with self._lock:
            self.samples.append(self._sample(begins=begins))
            return len(self.samples) - 1

    def _sample(self, *, begins: bool) -> MachineSample:
        shares = self._cpu.sample(begins=begins)
        cpu = procfs.machine_cpu()
        memory = psutil.virtual_memory()
        return MachineSample(
            machine=socket.gethostname(),
            at_s=time.monotonic(),
            unix_s=time.time(),
            cpu_all_s=cpu.all_s,
            cpu_idle_s=cpu.idle_s,
            cpu_busy_s=cpu.busy_s,
            cpu_trial_s=shares.trial_s,
            cpu_kernel_s=shares.kernel_s,
            cpu_stolen_s=cpu.stolen_s,
            foreign_process=shares.foreign,
            memory_used_mb=(memory.total - memory.available) / 1e6,
            memory_available_mb=memory.available / 1e6,
            stopped=shares.stopped,
            gpus=tuple(self._gpus.sample(shares.ours)),
            cpu_by_role_s=shares.by_role_s,
            bounds=shares.bounds,
        )
