"""Reads ``/proc``: processes, their descent, environment, CPU time and memory."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TAG_VARIABLE = "VBENCH_GUARD"
"""Environment variable that tags every process started under a guard; children inherit it."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def pids() -> Iterator[int]:
    """Ids of all processes."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def read_line(path: str) -> bytes:
    """A file of /proc of a line or two. Samplers read some of each process, many times: by way of pathlib
    that takes three times as long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, PAGE_BYTES)
    finally:
        os.close(descriptor)


def environ(pid: int) -> dict[str, str] | None:
    """A process's environment at its start; None if it has ended or may not be read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    if not raw:
        return None
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if item)
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}


def process_tree(tag: str, root: int | None = None) -> list[int]:
    """Processes that carry ``VBENCH_GUARD=tag`` and all descendants of these and of ``root``.

    Both are needed: a process that sets its title (Ray's workers do) overwrites the environment shown
    here, and one whose parent was killed has lost its line of descent. ``root`` itself and zombies, which
    hold nothing any more, are left out.
    """
    needle = f"{TAG_VARIABLE}={tag}".encode()
    parents: dict[int, int] = {}
    inside: set[int] = set() if root is None else {root}
    for pid in pids():
        line = stat(pid)
        if line is None or line.has_ended:
            continue
        parents[pid] = line.parent
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if needle in raw.split(b"\0"):
            inside.add(pid)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in inside} - inside
        inside |= more
        grown = bool(more)
    return sorted(pid for pid in inside if pid != root and pid in parents)


def pids_by_namespace(pid: int) -> list[int]:
    """The process's ids in the PID namespaces that it is in, the innermost last; empty if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return next(
        ([int(number) for number in line.split()[1:]] for line in lines if line.startswith("NSpid:")), []
    )


def innermost_pid(pid: int) -> int | None:
    """The process's id in its own PID namespace; None if it is gone."""
    return next(reversed(pids_by_namespace(pid)), None)


def command(pid: int) -> list[str]:
    """A process's arguments; empty if it is gone or a kernel thread."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0") if part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """The fields of ``/proc/PID/stat`` that vbench uses."""

    pid: int
    name: str
    state: str
    """R, S, D, Z (zombie), ..."""
    parent: int
    cpu_s: float
    """User and system time of the process and of the children it has waited for."""
    own_cpu_s: float
    """User and system time of the process itself."""
    started: int
    """Start time in clock ticks since boot: with the pid it names a process for good."""
    nice: int = 0
    policy: int = 0
    """Of its scheduling: sched(7)."""

    @property
    def has_ended(self) -> bool:
        """Whether it is a zombie, which holds nothing any more and only waits for its parent."""
        return self.state in "ZX"


def stat(pid: int) -> Stat | None:
    """The process's line, or None if it is gone."""
    try:
        # A name is cut at 15 bytes, in the midst of a character too.
        text = read_line(f"/proc/{pid}/stat").decode(errors="replace")
    except OSError:
        return None
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    user, system, child_user, child_system = (int(value) for value in fields[11:15])
    return Stat(
        pid=pid,
        name=head.partition("(")[2],
        state=fields[0],
        parent=int(fields[1]),
        cpu_s=(user + system + child_user + child_system) / TICKS_PER_S,
        own_cpu_s=(user + system) / TICKS_PER_S,
        started=int(fields[19]),
        nice=int(fields[16]),
        policy=int(fields[38]),
    )


def all_stats() -> dict[int, Stat]:
    """The lines of all processes there are now."""
    return {pid: line for pid in pids() if (line := stat(pid))}


def descendants(stats: Mapping[int, Stat], roots: Iterable[int]) -> set[int]:
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


def thread_names(pid: int) -> list[str]:
    """Of each thread of a process, at most 15 characters; empty if it has ended."""
    names = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # ended meanwhile
                names.append((task / "comm").read_text().rstrip("\n"))
    return names


def private_bytes(pid: int) -> int:
    """Resident memory less the pages that have a file behind them, shared memory included; 0 if the
    process is gone."""
    try:
        resident, shared = read_line(f"/proc/{pid}/statm").split()[1:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * PAGE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCpu:
    """CPU seconds of the machine since boot, over all cores."""

    busy_s: float
    """Programs' time, in user and system mode."""
    stolen_s: float
    """Time that other virtual machines took."""
    idle_s: float
    """Nothing to run, or only what waits for disks."""
    all_s: float
    """All time, that in interrupts included."""


def machine_cpu() -> MachineCpu:
    """The values of ``/proc/stat`` now; guests are part of user time there."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    seconds = [int(value) / TICKS_PER_S for value in first[1:9]]
    user, nice, system, idle, waiting, _, _, stolen = seconds
    return MachineCpu(busy_s=user + nice + system, stolen_s=stolen, idle_s=idle + waiting, all_s=sum(seconds))


def oom_kills() -> int | None:
    """Processes the kernel has killed for want of memory since boot; None if it does not count them."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
