"""Checks that Ray can start processes from this Python environment, and that its version is supported."""

import importlib.util
import sys
from pathlib import Path

from vbench.config.quoting import UNQUOTED, example_folder
from vbench.errors import InputError
from vbench.ray_internals.version import version_problem

NO_CLUSTER = {"--help", "-h", "--cfg", "-c", "--info", "-i"}
"""Options with which no cluster is started."""


def unusable_path() -> Path | None:
    """The interpreter's path, or that of Ray's package, if Ray cannot start workers from it."""
    ray = importlib.util.find_spec("ray")
    paths = [Path(sys.executable), *map(Path, ray.submodule_search_locations or () if ray else ())]
    return next((path for path in paths if UNQUOTED.search(str(path))), None)


def sentence(path: Path) -> str:
    """The error message for a path of ``unusable_path``."""
    sign = UNQUOTED.search(str(path))
    assert sign is not None, "only an unusable path has a sentence"
    name = "a space" if sign[0] == " " else repr(sign[0])
    return (
        f"Ray cannot start workers from {path}, because the path contains {name}: create the virtual"
        f" environment in another folder, such as {example_folder('vbench-venv', UNQUOTED)}, and run vbench"
        " from there."
    )


def check_installation() -> None:
    """InputError if Ray cannot start workers from this environment, or vbench cannot use this Ray."""
    if (path := unusable_path()) is not None:
        raise InputError(sentence(path))
    if (problem := version_problem()) is not None:
        raise InputError(problem)


def starts_a_cluster(arguments: list[str]) -> bool:
    """Whether a command line certainly starts Ray on this machine, and not on an attached cluster."""
    if any(argument.split("=")[0] in NO_CLUSTER for argument in arguments):
        return False
    may_be_elsewhere = ("resume=", "cluster=attached", "+experiments")
    return not any(argument.startswith(may_be_elsewhere) for argument in arguments)
