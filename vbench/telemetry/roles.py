"""The role of each process of a trial, and the CPU seconds per role."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from vbench.linux import procfs
from vbench.linux.procfs import Stat
from vbench.ray_internals import processes
from vbench.record.condition_owners import HARNESS, LOAD
from vbench.record.cpu_by_role import AGENTS, CONTROLLER, GCS, PROXY, RAYLET, WORKERS

TITLES = {
    **dict.fromkeys(processes.PROXY_TITLES, PROXY),
    **dict.fromkeys(processes.CONTROLLER_TITLES, CONTROLLER),
    "NodeAgent": HARNESS,
    **dict.fromkeys(processes.AGENT_TITLES, AGENTS),
}
"""What is in the titles of Ray's processes other than replicas."""

PROGRAMS = {
    processes.RAYLET: RAYLET,
    processes.GCS_SERVER: GCS,
    processes.RAY_PROGRAM: AGENTS,
    processes.WORKER_SCRIPT: WORKERS,
}
"""By the name of the program, or of the script that Python runs. Workers get a title only as they are up."""

LOAD_MODULE = "vbench.load"

Key = tuple[int, int]
"""Process id and start time."""


def role_of(command: list[str]) -> str | None:
    """The role of a process by its arguments; None if they do not say, as of FFmpeg."""
    if not command:
        return None
    title = command[0]
    if title.startswith(processes.TITLE_PREFIX):
        if (deployment := processes.replica_deployment(title)) is not None:
            return deployment
        return next((role for text, role in TITLES.items() if text in title), WORKERS)
    if LOAD_MODULE in command[1:]:
        return LOAD
    return next((PROGRAMS[name] for word in command[:3] if (name := Path(word).name) in PROGRAMS), None)


class RoleWatch:
    """Adds up CPU seconds by role from one sample to the next.

    What a process used between two samples counts for the role that it has at the second. A process without
    a role of its own, such as FFmpeg, has that of its parent. Children that ended between two samples count
    by what their parent was booked for when it waited for them.
    """

    def __init__(self, roots: Collection[int]) -> None:
        """``roots``: processes of the trial above all others; those without a role are the harness."""
        self._roots = frozenset(roots)
        self._own: dict[tuple[int, int, str], str | None] = {}
        """(process id, start time, name) -> the role by its arguments. A process whose title changes has
        another name too."""
        self._before: dict[Key, Stat] = {}
        self._cpu_s: dict[str, float] = {}

    def sample(
        self, stats: Mapping[int, Stat], ours: Collection[int]
    ) -> tuple[dict[str, float], dict[int, str]]:
        """CPU seconds of each role since the first sample, and the processes with a role of their own."""
        own = {pid: role for pid in ours if (role := self._own_role(stats[pid])) is not None}
        now = {(pid, stats[pid].started): stats[pid] for pid in ours}
        ended_s: dict[int, float] = {}
        for key, line in self._before.items():
            if key not in now:
                ended_s[line.parent] = ended_s.get(line.parent, 0.0) + line.cpu_s
        for key, line in now.items():
            before = self._before.get(key)
            used_s = line.own_cpu_s - (before.own_cpu_s if before else 0.0)
            if before is not None:
                waited_s = (line.cpu_s - line.own_cpu_s) - (before.cpu_s - before.own_cpu_s)
                used_s += max(0.0, waited_s - ended_s.get(line.pid, 0.0))
            role = self._inherited(line, stats, own)
            self._cpu_s[role] = self._cpu_s.get(role, 0.0) + (used_s if self._before else 0.0)
        self._before = now
        names = {(line.pid, line.started, line.name) for line in now.values()}
        self._own = {key: role for key, role in self._own.items() if key in names}
        return dict(sorted(self._cpu_s.items())), own

    def _own_role(self, line: Stat) -> str | None:
        if line.pid in self._roots:
            return role_of(procfs.command(line.pid)) or HARNESS
        key = (line.pid, line.started, line.name)
        role = self._own.get(key)
        if role is None:
            role = self._own[key] = role_of(procfs.command(line.pid))
        return role

    def _inherited(self, line: Stat, stats: Mapping[int, Stat], own: Mapping[int, str]) -> str:
        return next((own[one.pid] for one in _upwards(line, stats) if one.pid in own), HARNESS)


def _upwards(line: Stat, stats: Mapping[int, Stat]) -> Iterator[Stat]:
    """A process, its parent, and so on."""
    seen: set[int] = set()
    one: Stat | None = line
    while one is not None and one.pid not in seen:
        seen.add(one.pid)
        yield one
        one = stats.get(one.parent)
