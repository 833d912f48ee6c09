"""The Python environment that an arm runs in: this one, or that of ``runtime.python``."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vbench.config.checkout import PACKAGE
from vbench.config.quoting import UNQUOTED, shell_quoted
from vbench.config.schema import RuntimeConfig
from vbench.errors import InputError
from vbench.ray_internals.version import PINNED, SUPPORTED, is_supported

ASK_S = 60.0
"""Time within which another Python says what is installed in it."""

NEEDED = (
    "ray",
    "torch",
    "numpy",
    "av",
    "omegaconf",
    "psutil",
    "pyarrow",
    "fastapi",
    "xxhash",
    "imageio_ffmpeg",
)
"""Packages without which the load or the service cannot be imported."""

PACKAGES = (
    "ray",
    "torch",
    "mlflow",
    "hydra-core",
    "numpy",
    "av",
    "ffmpeg-python",
    "imageio-ffmpeg",
    "pyroute2",
    "pyarrow",
    "transformers",
)
"""Distributions whose versions are recorded."""

QUESTION = """
import importlib.util, json, platform, sys
from importlib.metadata import PackageNotFoundError, version
needed, packages = json.loads(sys.argv[1])
def known(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
spec = importlib.util.find_spec("ray")
print(json.dumps({
    "python": platform.python_version(),
    "missing": [name for name in needed if importlib.util.find_spec(name) is None],
    "packages": {name: known(name) for name in packages},
    "ray_folder": spec.submodule_search_locations[0] if spec else None,
}))
"""

LINKED = Path("cache") / "package"
"""Below the outputs folder: a folder with nothing but a link to this package, from which another environment
imports vbench."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python with the packages that an arm runs on."""

    python: str
    """Its version."""
    packages: Mapping[str, str | None]
    ray_folder: Path


def executable_of(runtime: RuntimeConfig) -> str:
    """The interpreter that starts Ray, the service and the load."""
    return sys.executable if runtime.python is None else runtime.python


def other_interpreter(runtime: RuntimeConfig) -> Interpreter | None:
    """The environment of ``runtime.python``, None for this one; InputError if an arm cannot run in it."""
    return None if runtime.python is None else interpreter(runtime.python)


@lru_cache(maxsize=16)
def interpreter(executable: str) -> Interpreter:
    """What is installed for a Python; InputError if an arm cannot run on it."""
    given = f"runtime.python={shell_quoted(executable)}"
    if UNQUOTED.search(executable):
        raise InputError(f"{given}: Ray cannot start workers from a path with such characters; move it.")
    if not os.access(executable, os.X_OK) or Path(executable).is_dir():
        raise InputError(
            f"{given} is no program: give the Python of a virtual environment, such as"
            f" runtime.python=/path/to/venv/bin/python."
        )
    said = _ask(executable, given)
    if said["ray_folder"] is None:
        raise InputError(
            f"{given} has no Ray: install one with {executable} -m pip install 'ray[serve]=={PINNED}'."
        )
    ray = str(said["packages"]["ray"])
    if not is_supported(ray):
        raise InputError(
            f"{given} has Ray {ray}, and vbench works with {', '.join(SUPPORTED)}: install one of them with"
            f" {executable} -m pip install 'ray[serve]=={PINNED}'."
        )
    if said["missing"]:
        raise InputError(
            f"{given} lacks what vbench needs: install it with {executable} -m pip install"
            f" {' '.join(name.replace('_', '-') for name in said['missing'])}."
        )
    return Interpreter(
        python=said["python"],
        packages=said["packages"],
        ray_folder=Path(said["ray_folder"]),
    )


def _ask(executable: str, given: str) -> dict[str, Any]:
    question = json.dumps([NEEDED, PACKAGES])
    try:
        run = subprocess.run(
            [executable, "-I", "-c", QUESTION, question],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=ASK_S,
            check=True,
        )
        said: dict[str, Any] = json.loads(run.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(
            f"{given} does not answer as a Python does: give the Python of an environment."
        ) from error
    return said


def import_path(runtime: RuntimeConfig, outputs: Path, env: Mapping[str, str]) -> dict[str, str]:
    """``PYTHONPATH`` for another environment, so that it imports this vbench; empty for this environment."""
    if runtime.python is None:
        return {}
    folder = (outputs / LINKED).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / PACKAGE.name
    if not link.is_symlink() or link.resolve() != PACKAGE:
        temporary = folder / f".{PACKAGE.name}.{os.getpid()}"
        temporary.symlink_to(PACKAGE)
        temporary.replace(link)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), env.get("PYTHONPATH", "")]))}
