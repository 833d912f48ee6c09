"""What every source of bytes offers to the code that fetches a video from it."""

from typing import Protocol


class InterruptedFetchError(Exception):
    """The source broke off or is busy: the missing bytes may come later."""


class ByteSource(Protocol):
    """One remote file, readable from any byte on.

    Its methods raise InterruptedFetchError if trying again may help, otherwise VideoError.
    """

    @property
    def size(self) -> int | None:
        """Bytes of the file, once opened; None if the source does not say."""

    def open_at(self, position: int) -> int:
        """Prepare to read from byte ``position`` on; returns where reading starts: there, or else at 0."""

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, at most ``max_bytes``, as soon as there are some; empty at the end."""

    def close(self) -> None:
        """Release the connection."""
