"""What the harness and the nodes observed about themselves: stalls, speeds, conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The longest time for which a thread that should wake every 50 ms did not wake."""

    where: str
    """``client``, ``harness``, ``agent of NODE``, or ``samples of ...``."""
    worst_ms: float
    """Between two wakes; for samples, the time between two of them beyond their period."""
    suspended_ms: float = 0.0
    """The part of it in which the machine was suspended."""
    at_s: float | None = None
    """Monotonic seconds at its end; None without a gap."""
    wakes: int = 0
    """0: the thread was not observed."""
    stood_ms: float | None = None
    """Of all gaps longer than 100 ms together, the time for which the thread did not wait for a CPU: it was
    stopped, or waited for a disk or a lock. None if the kernel does not count how long threads wait, of
    samples, and in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed of the machine's CPUs with a fixed piece of work, in units per second of wall time."""

    single_per_s: float
    """Of one process."""
    all_per_s: float
    """Of one process per usable core, together."""
    processes: int
    tries: int = 1
    """A speed that differs from the earlier one is measured again; this is the best of this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedChange:
    """The speed of a machine with nodes of an attached cluster, measured by an agent on it."""

    before: Speed
    """When the load process has connected, before it deploys anything."""
    after: Speed
    """After the last response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What the harness, a process next to the load process, observed about itself and its machine."""

    stalls: Sequence[Stall] = ()
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``harness`` and ``harness's machine`` -> facts; vbench.telemetry.conditions says which."""
    speed_before: Speed | None = None
    """Of the machine, before the cluster is started; None for an attached cluster."""
    speed_after: Speed | None = None
    """Of the machine, after the cluster has ended."""
