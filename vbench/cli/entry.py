"""How every command starts and ends: its streams are open, its folder exists, its output was written."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from vbench.cli.start import REFUSED
from vbench.config.utf8 import not_utf8
from vbench.linux.standard_streams import (
    FULL,
    UNREAD,
    NotingStream,
    give_up_on,
    is_printed,
    not_printed,
    open_standard_streams,
    tell,
)

NOT_WRITTEN = 1

OPTIMIZED = 2
"""``-OO``: docstrings are dropped."""


def command(main: Callable[[], int | None]) -> int:
    """Run a command's ``main``; its exit status, or another if its output could not be written."""
    open_standard_streams()
    sys.stdout = cast(TextIO, NotingStream(sys.stdout))
    if (sentence := _unfit()) is not None:
        tell(f"vbench: {sentence}")
        return REFUSED
    try:
        status = main() or 0
    except SystemExit as error:  # argparse has printed its help, or what is wrong
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except OSError as error:
        # The error of a stream names no file.
        if error.filename is not None or error.errno not in (*FULL, *UNREAD):
            raise
        not_printed.append(error)
        status = NOT_WRITTEN
    return _finish(status)


def _unfit() -> str | None:
    """Why no command can run in this process, as a sentence; None if it can."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return "the current folder no longer exists: change to another, such as cd ~"
    if sys.flags.optimize >= OPTIMIZED:
        return (
            "Python drops docstrings (-OO or PYTHONOPTIMIZE=2), which Ray and MLflow need:"
            " unset PYTHONOPTIMIZE, and start Python without -OO"
        )
    return not_utf8(sys.argv[1:])


def _finish(status: int) -> int:
    """Flush what was printed; the exit status."""
    if is_printed():
        return status
    give_up_on(sys.stdout.fileno())
    lost = next((error for error in not_printed if error.errno not in UNREAD), None)
    if lost is None:
        return status
    tell(f"vbench: the output cannot be written: {lost.strerror}")
    return status or NOT_WRITTEN
