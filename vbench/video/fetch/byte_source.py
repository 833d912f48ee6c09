"""What every source of bytes offers to whoever fetches a video from it."""

from typing import Protocol


class InterruptedFetchError(Exception):
    """The source broke off or is busy: what is missing may come yet."""


class Reader(Protocol):
    """One source, read from any byte on; each method raises InterruptedFetchError, or VideoError for good."""

    size: int | None
    """Bytes of the whole, once begun; None where the source does not say."""

    def begin(self, at: int) -> int:
        """Get ready to read from byte ``at`` on; where it begins, which is 0 where it cannot begin there."""

    def read(self, most: int) -> bytes:
        """The next bytes, ``most`` at most, as soon as there are some; none at the end."""

    def close(self) -> None:
        """Let go of it."""
