"""What bounds the CPUs of a trial's processes at one moment: affinity, priority, quotas, throttling.

Read at every sample, so that a bound that is removed before the trial ends is found. The kernel counts for
how long a control group was throttled, which reveals a quota that is gone at the next sample.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vbench.linux.cgroups import CpuGroups
from vbench.linux.procfs import Stat
from vbench.record.cpu_by_role import WORKERS
from vbench.record.samples import CpuBounds
from vbench.telemetry.conditions import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """Of one process."""

    cpus: frozenset[int]
    quota_cpus: float | None
    nice: int
    policy: int


class CpuBoundsWatch:
    """Compares the bounds of each process with those at the beginning of the measured time."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], _Bound] | None = None
        self._groups = CpuGroups()
        self._first_throttled_s: dict[Path, float] = {}

    def sample(
        self, stats: Mapping[int, Stat], roles: Mapping[int, str], *, begins: bool = False
    ) -> CpuBounds:
        """The bounds of the processes in ``roles`` now; ``begins``: later samples are compared with this one,
        and not with the first.

        Only processes with a role of their own are sampled: others, such as FFmpeg, and workers that have
        just started, may still be setting their own priority.
        """
        self._groups.forget()
        now = {(pid, stats[pid].started): bound for pid in roles if (bound := self._bound(stats[pid]))}
        throttled_s = self._groups.throttled_s()
        if begins or self._first is None:
            self._first, self._first_throttled_s = now, dict(throttled_s)
        first = self._first or {}
        least = min(now, key=lambda key: (len(now[key].cpus), key), default=None)
        quotas = [(bound.quota_cpus, key) for key, bound in now.items() if bound.quota_cpus is not None]
        tightest = min(quotas, default=None)
        return CpuBounds(
            least_cpus=len(now[least].cpus) if least else None,
            least_cpus_of=_who(least, stats, roles) if least else None,
            quota_cpus=tightest[0] if tightest else None,
            quota_cpus_of=_who(tightest[1], stats, roles) if tightest else None,
            throttled_s=sum(
                max(0.0, seconds - self._first_throttled_s.get(group, seconds))
                for group, seconds in throttled_s.items()
            ),
            changed=tuple(
                f"{what} of {_who(key, stats, roles)} was {before}, then {after}"
                for key, bound in sorted(now.items())
                if key in first
                for what, before, after in _changes(first[key], bound, roles[key[0]])
            ),
        )

    def _bound(self, line: Stat) -> _Bound | None:
        if line.has_ended:
            return None
        try:
            cpus = frozenset(os.sched_getaffinity(line.pid))
            quota_cpus = self._groups.quota_cpus(line.pid)
        except OSError:  # it has ended
            return None
        return _Bound(cpus=cpus, quota_cpus=quota_cpus, nice=line.nice, policy=line.policy)


def _who(key: tuple[int, int], stats: Mapping[int, Stat], roles: Mapping[int, str]) -> str:
    return f"{roles[key[0]]} (process {key[0]})"


def _changes(first: _Bound, now: _Bound, role: str) -> Iterator[tuple[str, str, str]]:
    if now.cpus != first.cpus:
        yield "affinity", _cpus(first), _cpus(now)
    if now.quota_cpus != first.quota_cpus:
        yield "quota", _quota(first), _quota(now)
    if role == WORKERS:
        return  # Ray gives those that start just now another priority
    if now.nice != first.nice:
        yield "nice", str(first.nice), str(now.nice)
    if now.policy != first.policy:
        yield "policy", _policy(first), _policy(now)


def _cpus(bound: _Bound) -> str:
    return f"CPUs {', '.join(map(str, sorted(bound.cpus)))}"


def _policy(bound: _Bound) -> str:
    return POLICIES.get(bound.policy, str(bound.policy))


def _quota(bound: _Bound) -> str:
    return "none" if bound.quota_cpus is None else f"{bound.quota_cpus:g} CPUs"
