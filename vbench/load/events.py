"""What the load process tells the harness while it runs: one JSON line an event, on standard output."""

import json
import os
import sys
from typing import Literal, TextIO, TypedDict


class Event(TypedDict, total=False):
    """One line. ``progress``: a phase and how far it is; ``look``: take a sample of the machine now, the
    measured time begins or ends; then ``done``, or ``failed`` with a sentence."""

    event: Literal["progress", "look", "done", "failed"]
    phase: str
    done: int
    total: int
    note: str
    """A few words beside the progress, such as a running mean."""
    message: str
    bad_input: bool
    """Whether what the trial was given is at fault, and not the trial."""


_channel: TextIO = sys.stdout


def open_channel() -> None:
    """Keep standard output for events: what libraries print goes to standard error from now on."""
    global _channel  # noqa: PLW0603 - the process has one standard output
    _channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def emit(event: Event) -> None:
    """Write one event; a harness that is gone ends the process by its guard, not here."""
    _channel.write(json.dumps(event) + "\n")
    _channel.flush()


def progress(phase: str, done: int = 0, total: int = 0, note: str = "") -> None:
    """Say how far a phase is; ``total`` 0 where that is not known."""
    emit({"event": "progress", "phase": phase, "done": done, "total": total, "note": note})
