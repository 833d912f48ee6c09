"""The errors that end a run, each with its exit status, and how a message names a cause or a close name."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

SEE_RAY_LOG = "see ray.log in the record's folder"
SEE_LOGS = "see load.log and ray.log in the record's folder"
"""Where a trial's record has what its processes printed."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for use in another message; its type if there is no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def last_reason(text: str, otherwise: str) -> str:
    """The line of a program's output that says why it failed: the last that begins with an error's name, else
    the last; ``otherwise`` for no output."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    return (errors or lines or [otherwise])[-1]


def last_location(text: str) -> str:
    """Where the traceback of a program raised its error last: `` (graph.py, line 12)``; empty if only
    installed packages and vbench are in it."""
    found = _LOCATION.findall(text)
    own = [(path, line) for path, line in found if path.startswith("/") and not _OF_OTHERS.search(path)]
    return f" ({own[-1][0].rpartition('/')[2]}, line {own[-1][1]})" if own else ""


_LOCATION = re.compile(r'File "([^"\n]+)", line (\d+)')
_OF_OTHERS = re.compile(
    rf"/(?:site|dist)-packages/|/lib(?:64)?/python3[^/]*/|^{re.escape(str(Path(__file__).parent))}/"
)
"""Paths of installed packages, the standard library and vbench."""


def nearest(wrong: str, right: Iterable[str], cutoff: float = 0.5) -> str:
    """A remark such as ``did you mean 'oss'? (there are: anyscale, oss, single)``.

    ``cutoff``: from 0 to 1, how similar a name must be to be suggested.
    """
    options = sorted(right)
    close = difflib.get_close_matches(wrong, options, n=1, cutoff=cutoff)
    listing = f"there are: {', '.join(options)}" if options else "there are none"
    return f"did you mean '{close[0]}'? ({listing})" if close else listing


def innermost(error: BaseException) -> BaseException:
    """The root cause of an exception chain."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


class VbenchError(Exception):
    """An error for the user, whose message is one sentence: the value that is wrong, and the remedy."""

    exit_status = 1


class ConfigError(VbenchError):
    """The configuration is invalid; found before anything started."""

    exit_status = 2


class NoRoomError(VbenchError):
    """A disk has no room for what would be written; found before anything was written."""

    exit_status = 1


class TrialError(VbenchError):
    """The trial was started, but could not be completed."""

    exit_status = 1


class InputError(TrialError):
    """An input of the trial (video, model, machine, cluster) cannot be used."""

    exit_status = 2


class ChangedRecordError(VbenchError):
    """Records were changed after their trials, so that they cannot be read together."""

    exit_status = 6


class TrackingError(VbenchError):
    """The record is complete on disk, but could not be logged to MLflow."""

    exit_status = 3
