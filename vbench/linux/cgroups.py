"""What the control groups of a process allow it: CPUs and memory, by cgroup v2 and v1, up the whole tree, and
for how long they throttled it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vbench.linux import procfs

UNLIMITED_BYTES = 1 << 60
"""cgroup v1 writes a number of about 2^63 for no limit."""


def cpu_quota(pid: int | str = "self", proc: Path = Path("/proc")) -> float | None:
    """CPUs that the tightest quota on the way to the root gives: 1.5 for 150 ms in each 100 ms; None for
    none.

    cgroup v2: ``cpu.max``; v1: ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``.
    """
    quotas = [quota for folder in _folders(pid, proc, "cpu") if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit_bytes(pid: int | str = "self", proc: Path = Path("/proc")) -> int | None:
    """The tightest limit of memory on the way to the root; None for none."""
    limits = [limit for folder in _folders(pid, proc, "memory") if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


class CpuGroups:
    """The same for many processes at one moment: what they share is read once."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._folders: dict[str, list[Path]] = {}
        """Text of ``/proc/PID/cgroup`` -> folders, which do not change while the mounts stay."""
        self._quotas: dict[Path, float | None] = {}

    def forget(self) -> None:
        """Forget what was read, before a new sample."""
        self._quotas = {}

    def quota_cpus(self, pid: int | str) -> float | None:
        """As ``cpu_quota``; OSError if the process is gone."""
        text = procfs.read_line(f"{self._proc}/{pid}/cgroup").decode()
        if text not in self._folders:
            self._folders[text] = list(_folders_of(_parsed(text), self._proc, "cpu"))
        for folder in self._folders[text]:
            if folder not in self._quotas:
                self._quotas[folder] = _quota(folder)
        quotas = [quota for folder in self._folders[text] if (quota := self._quotas[folder]) is not None]
        return min(quotas, default=None)

    def throttled_s(self) -> dict[Path, float]:
        """Seconds for which each group that a process was ever seen in has been throttled so far, and the
        groups above it; none for groups that do not count them."""
        known = {folder for folders in self._folders.values() for folder in folders}
        return {folder: seconds for folder in known if (seconds := _throttled_s(folder)) is not None}


def _throttled_s(folder: Path) -> float | None:
    """cgroup v2: ``throttled_usec`` of ``cpu.stat``; v1: ``throttled_time`` there, in ns."""
    words = _words(folder / "cpu.stat")
    values = dict(zip(words[::2], words[1::2], strict=False))
    for name, per_s in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
        if name in values:
            return int(values[name]) / per_s
    return None


def _quota(folder: Path) -> float | None:
    words = _words(folder / "cpu.max")
    if not words:
        words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max", or no such files
        return None
    return quota / period if quota > 0 and period > 0 else None


def _limit(folder: Path) -> int | None:
    words = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    if not words or not words[0].isdigit():
        return None
    return int(words[0]) if int(words[0]) < UNLIMITED_BYTES else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _folders(pid: int | str, proc: Path, controller: str) -> Iterator[Path]:
    """The process's group in each hierarchy that has the controller, and all groups above it that can be
    seen."""
    return _folders_of(_groups(pid, proc), proc, controller)


def _folders_of(groups: Mapping[str, str], proc: Path, controller: str) -> Iterator[Path]:
    """The same of a process in these groups."""
    for root, mount, kind, options in _mounts(proc):
        if kind == "cgroup2":
            path = groups.get("")
        elif kind == "cgroup" and controller in options:
            path = groups.get(controller)
        else:
            continue
        if path is None:
            continue
        # In a container the hierarchy's root, as mounted, can be the container's own group.
        below = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path()
        parts = [part for part in below.parts if part not in ("/", "..")]
        for count in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:count])


def _groups(pid: int | str, proc: Path) -> dict[str, str]:
    """Controller -> path of the process's group; "" is cgroup v2."""
    try:
        return _parsed((proc / str(pid) / "cgroup").read_text())
    except OSError:
        return {}


def _parsed(text: str) -> dict[str, str]:
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _mounts(proc: Path) -> Iterator[tuple[str, Path, str, list[str]]]:
    """Root within the hierarchy, mount point, type and the file system's options of each cgroup mount that
    this process sees (proc(5), mountinfo)."""
    try:
        lines = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if len(fields) > 4 and len(tail) > 2 and tail[0] in ("cgroup", "cgroup2"):
            yield fields[3], Path(fields[4]), tail[0], tail[2].split(",")
