"""The ways a run can end other than well, each with the exit status it gives."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line, for a sentence of ours; its type if it is mute."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


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
