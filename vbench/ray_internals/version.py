"""Which Ray the other modules of this package are written for, checked without importing Ray."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

SUPPORTED = "2.60.0"
"""As ``pyproject.toml`` pins it."""


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
    if installed is None or _release(installed) == _release(SUPPORTED):
        return None
    return (
        f"Ray {installed} is installed, and vbench needs Ray {SUPPORTED}, whose internal interfaces it uses:"
        f" run pip install 'ray[serve]=={SUPPORTED}'."
    )


def _release(text: str) -> list[str]:
    """Major and minor number."""
    return text.split(".")[:2]
