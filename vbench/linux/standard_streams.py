"""Makes sure that a command's standard streams are open, and notes if they cannot be written."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

FULL = (errno.ENOSPC, errno.EDQUOT)
UNREAD = (errno.EPIPE, errno.EIO)
"""The reader of a pipe or the terminal has gone. That is not an error."""

not_printed: list[OSError] = []
"""Errors of output that could not be written, while the command went on."""


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


def is_printed() -> bool:
    """Whether all that was printed so far could be written."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return not not_printed


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
    """Print to standard error, if it can still be written."""
    with contextlib.suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)
