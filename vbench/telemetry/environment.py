"""The machine and the code that a trial ran on, for its record."""

import contextlib
import hashlib
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from vbench.config.checkout import IS_INSTALLED, ROOT
from vbench.config.interpreter import PACKAGES
from vbench.config.sizing import machine_cpus
from vbench.telemetry.gpus import gpus

MEASURED = ("vbench",) if IS_INSTALLED else ("vbench", "conf", "pyproject.toml", "constraints.txt")
"""What beside or in the package can change a result. An installed package has its option files inside it."""

NOT_MEASURED = ("vbench/analysis", "vbench/cli", "vbench/tracking", "vbench/experiments")
"""And what below it cannot: it reads records, or says which trials are run."""

JUNK = ("__pycache__", ".*", "*.pyc", "*~", "*.orig", "*.rej")
"""Files that Python, editors and merges leave behind."""


def describe() -> dict[str, Any]:
    """Facts about this machine, interpreter, packages and the working tree."""
    return {
        "host": platform.node(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": machine_cpus(),
        "cores_online": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 10**6,
        "gpus": [str(gpu) for gpu in gpus()] or None,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "code": code(),
        **_git(),
    }


def code(root: Path = ROOT) -> str:
    """Digest over names and bytes of all files of ``MEASURED``: equal if the same code runs, whether or
    not it is committed, and without git."""
    digest = hashlib.blake2b(digest_size=8)
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in _measured(root)):
        # An editor may have removed a temporary file meanwhile.
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _measured(root: Path) -> Iterator[Path]:
    for name in MEASURED:
        for path in (root / name, *(root / name).rglob("*")):
            below = path.relative_to(root)
            if any(below.is_relative_to(folder) for folder in NOT_MEASURED):
                continue
            parts = below.parts
            if path.is_file() and not any(fnmatch(part, junk) for part in parts for junk in JUNK):
                yield path


def now() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any]:
    """Revision of the code, and whether it was clean; None for both outside a git checkout."""
    try:
        top = _run("rev-parse", "--show-toplevel")
        if Path(top).resolve() != ROOT:  # unpacked inside somebody else's checkout
            return {"git_revision": None, "git_clean": None}
        revision = _run("rev-parse", "HEAD")
        changes = _run("status", "--porcelain", "--", *MEASURED)
    except (OSError, subprocess.SubprocessError):
        return {"git_revision": None, "git_clean": None}
    return {"git_revision": revision, "git_clean": not changes}


def _run(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
