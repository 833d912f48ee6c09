"""The ways a run can fail, each with its exit status, and how a sentence names a cause or a near name."""

import difflib
from collections.abc import Iterable


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line, for a sentence of ours; its type if it is mute."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def last_reason(text: str, otherwise: str) -> str:
    """The line of a program's output that says why it failed: the last that begins with an error's name, else
    the last; ``otherwise`` for no output."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    return (errors or lines or [otherwise])[-1]


def nearest(wrong: str, right: Iterable[str], cutoff: float = 0.5) -> str:
    """A remark such as ``did you mean 'oss'? (there are: anyscale, oss, single)``.

    ``cutoff``: from 0 to 1, how similar a name must be to be suggested.
    """
    options = sorted(right)
    close = difflib.get_close_matches(wrong, options, n=1, cutoff=cutoff)
    listing = f"there are: {', '.join(options)}" if options else "there are none"
    return f"did you mean '{close[0]}'? ({listing})" if close else listing


def innermost(error: BaseException) -> BaseException:
    """The error that all others around it came of."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


class VbenchError(Exception):
    """One clear sentence for the user: what was wrong, with which value, and what would do."""

    exit_status = 1


class ConfigError(VbenchError):
    """The configuration cannot be run; found before anything started."""

    exit_status = 2


class NoRoomError(VbenchError):
    """A disk has no room for what would be written; found before it was."""

    exit_status = 1


class TrialError(VbenchError):
    """The trial was started and could not be brought to its end."""

    exit_status = 1


class InputError(TrialError):
    """What the trial was given (video, model, machine) cannot be used."""

    exit_status = 2


class ChangedRecordError(VbenchError):
    """Records are not what their trials wrote, and cannot even be read together."""

    exit_status = 6


class TrackingError(VbenchError):
    """The record is safe on disk, and MLflow could not be told."""

    exit_status = 3
