"""How every command starts and ends: its streams are open, its folder exists, its output was written."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO, cast

from vbench.config.utf8 import not_utf8

REFUSED = 2
NOT_WRITTEN = 1

FULL = (errno.ENOSPC, errno.EDQUOT)
UNREAD = (errno.EPIPE, errno.EIO)
"""Nobody reads what is printed any more: a pipe's reader or a terminal has gone. That is no fault."""

OPTIMIZED = 2
"""``-OO``: docstrings are dropped."""

not_printed: list[OSError] = []
"""Why something could not be printed, by whoever went on all the same."""


class NotingStream:
    """Standard output that remembers why it could not be written: what raises may be taken for another error,
    or be passed over, as logging does, and a buffer may drop what it could not write."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, and remember an error that is raised."""
        with self._noting():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush, and remember an error that is raised."""
        with self._noting():
            self._stream.flush()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            not_printed.append(error)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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
        return "the folder that this shell is in is gone: cd to another, such as cd ~"
    if sys.flags.optimize >= OPTIMIZED:
        return (
            "Python drops docstrings (-OO, or PYTHONOPTIMIZE=2), which Ray and MLflow cannot do without:"
            " unset PYTHONOPTIMIZE, and start Python without -OO"
        )
    return not_utf8(sys.argv[1:])


def is_printed() -> bool:
    """Whether all that was printed so far could be written."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return not not_printed


def _finish(status: int) -> int:
    """Flush what was printed; the exit status."""
    if is_printed():
        return status
    give_up_on(sys.stdout.fileno())
    lost = next((error for error in not_printed if error.errno not in UNREAD), None)
    if lost is None:
        return status
    tell(f"vbench: the output could not be written: {lost.strerror}")
    return status or NOT_WRITTEN


def give_up_on(number: int) -> None:
    """Let a stream write to nowhere: what is still in its buffer would fail once more when Python ends."""
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), number)


def open_standard_streams() -> None:
    """Give the null device to standard streams that whoever started us has closed: the next file that is
    opened would take their numbers, and be read or written in their stead."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - open until the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - open until the end


def tell(sentence: str) -> None:
    """On standard error, if there is still somebody to read it."""
    with contextlib.suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)
