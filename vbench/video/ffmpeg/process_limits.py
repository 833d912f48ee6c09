"""Limits another process from outside, and reads from the kernel what it has used."""

import os
import resource
from pathlib import Path

CPU_TIME_ERROR_S = 0.25
"""By how much a busy kernel ends a process before proc(5) reports that its limit was reached."""


def limit(pid: int, which: int, soft: int, hard: int) -> int:
    """Set a resource limit of a process, or its hard limit if that is lower.

    Args:
        pid: the process.
        which: one of ``resource.RLIMIT_*``.
        soft: the soft limit, in the unit of ``which``.
        hard: the hard limit.

    Returns:
        The soft limit that the process now has.
    """
    allowed = resource.prlimit(pid, which)[1]
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    resource.prlimit(pid, which, (soft, hard))
    return soft


def cpu_time_s(pid: int) -> float:
    """User and system CPU seconds of a process that has ended but was not reaped; 0 if it was. See
    proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_line(pid: int) -> tuple[str, ...]:
    """Program and arguments of a running process; empty once it has ended. See proc(5)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in words[:-1])
