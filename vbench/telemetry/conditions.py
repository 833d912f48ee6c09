"""Conditions of a process and its machine that affect speed: CPUs, priority, environment."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from vbench.linux import procfs
from vbench.linux.cgroups import cpu_quota, memory_limit_bytes
from vbench.record.condition_owners import RAYLET, WORKERS
from vbench.video.digest import file_digest
from vbench.video.errors import ToolMissingError
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version

VARIABLES = (
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "GOTO_",
    "KMP_",
    "MALLOC_",
    "LD_",
    "GLIBC_TUNABLES",
    "PYTHON",
    "TORCH_",
    "CUDA_",
    "VBENCH_FFMPEG",
)
"""Beginnings of environment variables that change how fast the same code runs, or which code it is."""

IMMATERIAL = frozenset(
    {
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONIOENCODING",
        "PYTHONNOUSERSITE",
        "PYTHONSTARTUP",
        "PYTHONUNBUFFERED",
        "PYTHONUTF8",
    }
)
"""Those among them that do not."""

POLICIES = {0: "other", 1: "fifo", 2: "round robin", 3: "batch", 5: "idle", 6: "deadline", 7: "ext"}
"""Scheduling policies of linux/sched.h."""

CPUS = Path("/sys/devices/system/cpu")


def of_process(pid: int | None = None) -> dict[str, Any]:
    """Facts about a process, by default this one; None for what cannot be read.

    ``cpus``: numbers of the CPUs that it may run on; ``quota_cpus``: what its control groups give it;
    ``usable_cpus``: the fewer of both; ``nice`` and ``policy`` of its scheduling; ``memory_limit_mb``;
    ``environment``: what of it was set at its start and matters.
    """
    who: int | str = "self" if pid is None else pid
    cpus = _affinity(who)
    quota = cpu_quota(who)
    limit = memory_limit_bytes(who)
    environ = procfs.environ(os.getpid() if pid is None else pid)
    nice, policy = _scheduling(who)
    return {
        "cpus": cpus,
        "quota_cpus": quota,
        "usable_cpus": None if cpus is None else min(len(cpus), quota or len(cpus)),
        "nice": nice,
        "policy": policy,
        "memory_limit_mb": None if limit is None else limit // 10**6,
        "environment": None if environ is None else material(environ),
    }


def of_workers(root: int) -> dict[str, Any] | None:
    """Of all processes below ``root``, the facts about the one that may use the fewest CPUs, by its affinity
    and its control groups, with what matters in the environment of any of them; None for none."""
    below = procfs.descendants(procfs.all_stats(), [root]) - {root}
    known = [facts for pid in sorted(below) if (facts := of_process(pid))["usable_cpus"] is not None]
    if not known:
        return None
    environments = [facts["environment"] for facts in known if facts["environment"] is not None]
    united = {name: value for one in environments for name, value in one.items()}
    narrowest = min(known, key=lambda facts: float(facts["usable_cpus"]))
    return narrowest | {"environment": united if environments else None}


def of_node(name: str, raylet: int) -> dict[str, dict[str, Any]]:
    """The conditions of a node's raylet, and of what it has started, by the names that the record gives
    them."""
    workers = of_workers(raylet)
    by_process = {f"{RAYLET}{name}": of_process(raylet)}
    return (
        by_process
        if workers is None or workers["usable_cpus"] is None
        else by_process | {f"{WORKERS}{name}": workers}
    )


def material(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that change how fast code runs, or which code it is. Empty values do not count."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if value and name.startswith(VARIABLES) and name not in IMMATERIAL
    }


def _affinity(who: int | str) -> list[int] | None:
    try:
        lines = Path(f"/proc/{who}/status").read_text().splitlines()
    except OSError:
        return None
    text = next((line.split()[1] for line in lines if line.startswith("Cpus_allowed_list:")), None)
    return None if text is None else cpu_list(text)


def cpu_list(text: str) -> list[int]:
    """Numbers out of the kernel's list format: ``0-2,5``."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            cpus += range(int(first), int(last or first) + 1)
    return cpus


def _scheduling(who: int | str) -> tuple[int | None, str | None]:
    """Nice value and policy: fields 19 and 41 of proc(5)'s stat."""
    try:
        fields = Path(f"/proc/{who}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None, None
    policy = int(fields[38])
    return int(fields[16]), POLICIES.get(policy, str(policy))


def of_machine() -> dict[str, Any]:
    """Facts about this machine; None for those that it does not report.

    ``online_cpus``: how many there are; ``cpu_flags``: a digest of the processor's features; ``microcode``;
    ``governor`` and ``frequency_mhz`` (least and most) of the CPUs' clocks, each different value once.
    """
    info = _first_processor()
    flags = " ".join(sorted((info.get("flags") or info.get("Features") or "").split()))
    return {
        "cpu": info.get("model name"),
        "cpu_flags": hashlib.blake2b(flags.encode(), digest_size=8).hexdigest() if flags else None,
        "microcode": info.get("microcode"),
        "online_cpus": len(cpu_list(_text(CPUS / "online") or "")) or os.cpu_count(),
        "governor": _each("cpufreq/scaling_governor"),
        "frequency_mhz": [
            [int(khz) // 1000 for khz in _each(f"cpufreq/scaling_{end}_freq")] for end in ("min", "max")
        ],
        "boot_id": _text(Path("/proc/sys/kernel/random/boot_id")),
        "kernel": os.uname().release,
        "transparent_hugepages": _chosen(Path("/sys/kernel/mm/transparent_hugepage/enabled")),
        "swap_mb": psutil.swap_memory().total // 10**6,
        "ffmpeg": _ffmpeg(),
    }


def _ffmpeg() -> dict[str, str] | None:
    """The FFmpeg that decodes here: path, version, and a digest of its file, which a wrapper of the same
    version does not have; None for none."""
    try:
        path = ffmpeg_path()
        return {"path": path, "version": ffmpeg_version(path), "xxh3": file_digest(Path(path))}
    except (ToolMissingError, OSError):
        return None


def _first_processor() -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        name, _, value = line.partition(":")
        if not line.strip():
            break
        facts[name.strip()] = value.strip()
    return facts


def _each(name: str) -> list[str]:
    """Every different value of a file that each CPU has."""
    values = {text for folder in CPUS.glob("cpu[0-9]*") if (text := _text(folder / name)) is not None}
    return sorted(values)


def _chosen(path: Path) -> str | None:
    """The word in brackets of ``always [madvise] never``."""
    text = _text(path) or ""
    return text.partition("[")[2].partition("]")[0] or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
