"""Which Ray the other modules of this package are written for, checked without importing Ray."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

PINNED = "2.60.0"
"""As ``pyproject.toml`` pins it."""

SUPPORTED = ("2.58", "2.59", "2.60")
"""Minor versions with which the contract tests pass, the pinned one last."""


@cache
def installed_version() -> str | None:
    """Version of the installed distribution ``ray``; None if there is none, as for a build used in place."""
    try:
        return version("ray")
    except PackageNotFoundError:
        return None


def version_problem() -> str | None:
    """Why the installed Ray cannot be used, and the remedy, in one sentence; None if it can.

    Other patch releases are accepted: they do not move interfaces.
    """
    installed = installed_version()
    if installed is None or is_supported(installed):
        return None
    return (
        f"Ray {installed} is installed, and vbench works with Ray {', '.join(SUPPORTED)}, whose internal"
        f" interfaces it knows: run pip install 'ray[serve]=={PINNED}'."
    )


def is_supported(ray: str) -> bool:
    """Whether vbench works with this version of Ray."""
    return ".".join(ray.split(".")[:2]) in SUPPORTED
