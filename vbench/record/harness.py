"""What the harness and the nodes observed about themselves: stalls, speeds, conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The longest time for which a thread did not wake that should wake every 50 ms."""

    where: str
    """``client``, ``harness``, ``agent of NODE``, or ``samples of ...``."""
    worst_ms: float
    """Between two wakes; of samples, what came between two of them beyond their period."""
    suspended_ms: float = 0.0
    """Of it, the time that the machine was suspended."""
    at_s: float | None = None
    """Monotonic seconds at its end; None if no gap was worth the name."""
    wakes: int = 0
    """0: nothing was watched."""
    stood_ms: float | None = None
    """Of all gaps longer than 100 ms together, the time for which the thread did not wait for a CPU: it was
    stopped, or waited for a disk or a lock. None if the kernel does not count how long threads wait, of
    samples, and in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a fixed piece of work makes of the machine's CPUs, in units per second of wall time."""

    single_per_s: float
    """Of one process."""
    all_per_s: float
    """Of one process for each usable core, together."""
    processes: int
    tries: int = 1
    """A speed that differs from the one before is measured again; this is the best of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedChange:
    """The speed of a machine that carries nodes of a cluster that is elsewhere, by an agent on it."""

    before: Speed
    """As the load process has connected, before it deploys anything."""
    after: Speed
    """After the last answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What the harness saw of itself and of its machine, beside the load process."""

    stalls: Sequence[Stall] = ()
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``harness`` and ``harness's machine`` -> facts; vbench.telemetry.conditions says which."""
    speed_before: Speed | None = None
    """Of the machine, before the cluster is started; None for a cluster that is elsewhere."""
    speed_after: Speed | None = None
    """And after it is gone."""
