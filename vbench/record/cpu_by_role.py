"""CPU seconds of a trial's own processes, by what each of them is."""

from collections import defaultdict
from collections.abc import Sequence

from vbench.record.cpu_use import by_machine
from vbench.record.samples import MachineSample

RAYLET = "raylets"
GCS = "GCS"
PROXY = "proxy"
CONTROLLER = "controller"
AGENTS = "Ray's agents"
WORKERS = "other workers"
"""Roles of a trial's processes. A replica's role is the name of its deployment."""


def used_by_role(machines: Sequence[MachineSample]) -> tuple[dict[str, float], float]:
    """CPU seconds by role over all machines, and for how long the one that was sampled longest was."""
    used_s: defaultdict[str, float] = defaultdict(float)
    measured_s = 0.0
    for samples in by_machine(machines).values():
        first, last = samples[0], samples[-1]
        if last.at_s <= first.at_s or not last.cpu_by_role_s:
            continue
        measured_s = max(measured_s, last.at_s - first.at_s)
        for role, seconds in last.cpu_by_role_s.items():
            used_s[role] += seconds - first.cpu_by_role_s.get(role, 0.0)
    return used_s, measured_s
