"""Events by which the load process reports to the harness: one JSON line per event, on standard output.

If standard output is a log that others write to as well, each event is a JSON text sequence of RFC 7464: a
record separator before it distinguishes it from other lines, and a number lets a reader that starts over skip
what it has read.
"""

import base64
import itertools
import json
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO, TypedDict

import xxhash

from vbench.ray_internals.jobs import LOG_LINE_LIMIT

SEPARATOR = "\x1e"

PART_CHARACTERS = LOG_LINE_LIMIT * 6 // 10
"""Of a file's text in one event, which is one line of the log."""


class Event(TypedDict, total=False):
    """One line. ``progress``: a phase and how far it is; ``sample``: sample the machine now, as the measured
    time begins or ends; ``measuring``: the measured phase began at ``at_s``; ``note``: a sentence that stays
    on the console; ``file``: a part of a file of the record; then ``done``, or ``failed`` with a sentence."""

    event: Literal["progress", "sample", "measuring", "note", "file", "done", "failed"]
    phase: str
    done: int
    total: int
    note: str
    """A few words beside the progress, such as a running mean."""
    at_s: float
    """Monotonic seconds."""
    message: str
    bad_input: bool
    """Whether an input of the trial is at fault."""
    name: str
    """Of a file, in the record's folder."""
    data: str
    """The next part of it: compressed by zlib, in base64."""
    digest: str
    """xxh3-128 of the file, with its last part; else empty."""
    number: int
    """From 0, in a log."""


_channel: TextIO | None = None
"""Where events go; None: to standard output, as it is."""
_numbers: Iterator[int] | None = None
_lock = threading.Lock()


def redirect_stdout(*, in_log: bool = False) -> None:
    """Reserve standard output for events: from now on, what libraries print goes to standard error.

    ``in_log``: standard output is a log that others write to, too.
    """
    global _channel, _numbers  # noqa: PLW0603 - the process has one standard output
    _channel = os.fdopen(os.dup(1), "w")
    _numbers = itertools.count() if in_log else None
    os.dup2(2, 1)


def emit(event: Event) -> None:
    """Write one event. If the harness has ended, its guard ends this process."""
    with _lock:  # the client's threads report their requests themselves
        channel = _channel or sys.stdout
        if _numbers is None:
            channel.write(json.dumps(event) + "\n")
        else:
            # A separator must be at the beginning of a line: another process may have begun one.
            channel.write(f"\n{SEPARATOR}{json.dumps({**event, 'number': next(_numbers)})}\n")
        channel.flush()


def send_file(path: Path) -> None:
    """Send a file of the record, in as many events as it takes."""
    data = path.read_bytes()
    text = base64.b64encode(zlib.compress(data)).decode()
    starts = range(0, max(len(text), 1), PART_CHARACTERS)
    for start in starts:
        last = start == starts[-1]
        emit(
            {
                "event": "file",
                "name": path.name,
                "data": text[start : start + PART_CHARACTERS],
                "digest": xxhash.xxh3_128_hexdigest(data) if last else "",
            }
        )


class DamagedFileError(ValueError):
    """A file's parts do not add up to what was sent; the message names the file."""


class FileAssembler:
    """Reassembles the files of a record in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, list[str]] = {}

    def add(self, event: Event) -> None:
        """Add the next part of a file, which is written with its last; DamagedFileError if one is missing."""
        name = event["name"]
        self._parts.setdefault(name, []).append(event["data"])
        if not event["digest"]:
            return
        try:
            data = zlib.decompress(base64.b64decode("".join(self._parts.pop(name)), validate=True))
        except (ValueError, zlib.error) as error:
            raise DamagedFileError(f"{name} arrived damaged ({error})") from error
        if xxhash.xxh3_128_hexdigest(data) != event["digest"] or Path(name).name != name:
            raise DamagedFileError(f"{name} arrived with different bytes than were sent")
        (self._folder / name).write_bytes(data)


def progress(name: str, done: int = 0, total: int = 0, note: str = "") -> None:
    """Report how far a phase is; ``total`` 0 if unknown."""
    emit({"event": "progress", "phase": name, "done": done, "total": total, "note": note})


def note(sentence: str) -> None:
    """Report a sentence that stays on the console."""
    emit({"event": "note", "message": sentence})
