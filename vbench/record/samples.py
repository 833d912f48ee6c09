"""Samples taken while requests were measured: the lines of ``nodes.jsonl`` and ``machines.jsonl``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vbench.record.network import LinkSample


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One sample of one GPU, by NVML; None for what this GPU does not report."""

    gpu: int
    """NVML's index, by position on the bus; ``CUDA_VISIBLE_DEVICES`` does not change it."""
    busy_percent: float | None
    """Share of the last moments (1/6 to 1 s, depending on the product) in which a kernel of any process
    ran."""
    memory_used_mb: float | None
    """By all processes."""
    energy_j: float | None
    """Joules since the driver was loaded."""
    foreign_percent: float | None = None
    """Share of the time since the previous sample in which other programs' kernels ran, summed over
    processes; None if the GPU or the machine does not report whose they are."""
    foreign_processes: Sequence[str] = ()
    """Other programs' processes that compute on it or hold memory for that, as NAME (PID)."""
    sm_mhz: int | None
    """Clock of the multiprocessors: low on an idle GPU; it falls on a busy one that is too hot or short of
    power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuBounds:
    """The limits on the CPUs of the trial's processes at one moment."""

    least_cpus: int | None
    """CPUs of the process that can run on the fewest, by its affinity; None if no process was seen."""
    least_cpus_of: str | None
    """Which process that is: ``raylet (process 123)``."""
    quota_cpus: float | None
    """The tightest quota of a control group, in CPUs; None for none."""
    quota_cpus_of: str | None
    throttled_s: float
    """For how long the kernel has throttled their control groups since the first request was due."""
    changed: Sequence[str] = ()
    """What has changed of affinity, quota, nice and policy since the first request was due, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSample:
    """One sample of a machine with nodes (the nodes of an emulated cluster share one): a line of
    ``machines.jsonl``."""

    machine: str
    """Its host name; for an attached cluster, the names of its nodes on the machine, joined by a plus
    sign."""
    at_s: float
    """Monotonic seconds of the machine."""
    unix_s: float
    cpu_all_s: float
    """CPU seconds since boot over all cores; the five below are parts of it, interrupts the rest."""
    cpu_idle_s: float
    """Idle, including waiting for disks."""
    cpu_busy_s: float
    """Of programs, in user and system mode."""
    cpu_trial_s: float
    """Of the trial's processes, including those that have ended."""
    cpu_kernel_s: float
    """Of kernel threads, whoever they worked for; interrupts are in none of these."""
    cpu_stolen_s: float
    """Taken by other virtual machines."""
    foreign_process: str | None
    """The process of another program that used most since the previous sample; one that ended before is not
    seen."""
    memory_used_mb: float
    memory_available_mb: float
    stopped: Sequence[str] = ()
    """Processes of the trial that a signal or a debugger had stopped (state T or t), as NAME (PID)."""
    gpus: Sequence[GpuSample] = ()
    """By index; empty for a machine without NVIDIA's driver, and in older records."""
    cpu_by_role_s: Mapping[str, float] = field(default_factory=dict)
    """Role (vbench.validity.own_cpu) -> CPU seconds of the trial's processes with it since sampling began;
    empty in records of earlier versions."""
    bounds: CpuBounds | None = None
    """None in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """One sample of one node: a line of ``nodes.jsonl``."""

    node: str
    at_s: float
    """Monotonic seconds of the node."""
    cpu_s: float
    """CPU seconds so far of the trial's processes on this node, including those that have ended."""
    memory_mb: float
    """Memory of the trial's processes on this node: private pages, and the used part of /dev/shm."""
    nic_sent_bytes: int
    """Since boot, over all interfaces but loopback."""
    nic_received_bytes: int
    link: LinkSample | None
    """The queues of the node's shaped link; None if nothing is shaped."""
    connections: Mapping[str, int]
    """Peer -> established connections from this node to the peer's object manager, to which only raylets
    connect."""
    object_bytes: Mapping[str, int] = field(default_factory=dict)
    """Peer -> bytes that these connections have carried to it since they were opened; empty in records of
    earlier versions."""
    object_store_used_mb: float
    spilled_mb: float
    """Written to disk since the node started."""
    fallback_mb: float
    """Objects that are now on disk because the store was full."""
    began_s: float | None = None
    """Monotonic seconds just before the NICs' bytes were read, as ``at_s`` is just after: a busy machine may
    let the reader wait in between. None in earlier records."""

    @property
    def earliest_s(self) -> float:
        """The earliest that the NICs' bytes may have been read."""
        return self.at_s if self.began_s is None else self.began_s
