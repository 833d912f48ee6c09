"""What ``/proc`` says about processes: who belongs to us, with which environment, using how much CPU."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "VBENCH_GUARD"
"""Environment variable that marks every process started under a guard; children inherit it."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def pids() -> Iterator[int]:
    """All processes there are now."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def environ(pid: int) -> dict[str, str] | None:
    """A process's environment at its start; None where it is gone or not ours to read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    if not raw:
        return None
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if item)
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}


def family(mark: str, root: int | None = None) -> list[int]:
    """Processes that carry ``VBENCH_GUARD=mark`` and all descendants of these and of ``root``.

    Both are needed: a process that sets its title (Ray's workers do) overwrites the environment shown
    here, and one whose parent was killed has lost its line of descent. ``root`` itself and zombies, which
    hold nothing any more, are left out.
    """
    needle = f"{MARK}={mark}".encode()
    parents: dict[int, int] = {}
    inside: set[int] = set() if root is None else {root}
    for pid in pids():
        line = stat(pid)
        if line is None or line.state in "ZX":
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


def command(pid: int) -> list[str]:
    """A process's arguments; empty where it is gone or a kernel thread."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0") if part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """A line of ``/proc/PID/stat``, what is used of it."""

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


def stat(pid: int) -> Stat | None:
    """The process's line, or None where it is gone."""
    try:
        # A name is cut at 15 bytes, in the midst of a character too.
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCpu:
    """CPU seconds of the machine since boot, over all cores."""

    busy_s: float
    """Programs' time, in user and system mode."""
    stolen_s: float
    """Time that other virtual machines took."""
    all_s: float
    """All time, that in interrupts and idle included (waiting for disks is idle)."""


def machine_cpu() -> MachineCpu:
    """What ``/proc/stat`` says now; guests are part of user time there."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    seconds = [int(value) / TICKS_PER_S for value in first[1:9]]
    user, nice, system, _, _, _, _, stolen = seconds
    return MachineCpu(busy_s=user + nice + system, stolen_s=stolen, all_s=sum(seconds))


def oom_kills() -> int | None:
    """Processes the kernel has killed for want of memory since boot; None where it does not count them."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
