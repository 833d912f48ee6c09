"""The machine and the code that a trial ran on, for its record."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("ray", "torch", "mlflow", "hydra-core", "numpy", "av", "ffmpeg-python", "imageio-ffmpeg")

MEASURED = ("vbench", "conf", "pyproject.toml", "constraints.txt")
"""What of the working tree can change a result."""


def describe() -> dict[str, Any]:
    """Facts about this machine, interpreter, packages and the working tree."""
    return {
        "host": platform.node(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 10**6,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        **_git(),
    }


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
    root = Path(__file__).resolve().parent.parent
    try:
        top = _run(root, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != root:  # unpacked inside somebody else's checkout
            return {"git_revision": None, "git_clean": None}
        revision = _run(root, "rev-parse", "HEAD")
        changes = _run(root, "status", "--porcelain", "--", *MEASURED)
    except (OSError, subprocess.SubprocessError):
        return {"git_revision": None, "git_clean": None}
    return {"git_revision": revision, "git_clean": not changes}


def _run(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
