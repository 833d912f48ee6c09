"""The bytes of a remote video fetched so far: bounded in number, in disk space, and in how slowly they
arrive."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import xxhash

from vbench.video.errors import VideoBusyError, VideoTooLargeError, VideoUnreachableError
from vbench.video.fetch.disk_room import DiskClaim
from vbench.video.types import VideoLimits

SLOW_S = 20.0
SLOW_BYTES = 256 << 10
"""Fewest bytes in each period of ``SLOW_S`` seconds (100 kbit/s): a slow source blocks a slot that others
could use."""

_FULL = {
    errno.ENOSPC: "the disk was full",
    errno.EDQUOT: "the disk quota of the service's user was used up",
    errno.EFBIG: "the service may not write a larger file (see ulimit -f)",
}


class FetchedCopy:
    """The copy of one remote video.

    Args:
        file: an empty file that is open for reading and writing.
        display_name: the video's address without secrets, for messages.
        limits: bytes that it may have.
        claim: its room on the disk.
    """

    def __init__(self, file: IO[bytes], display_name: str, limits: VideoLimits, claim: DiskClaim) -> None:
        self._file, self._claim = file, claim
        self._max_bytes = min(limits.max_size_bytes, limits.max_fetched_bytes)
        self.display_name = display_name
        self.size = 0
        self.checksum = xxhash.xxh3_128()
        self._period = (time.monotonic(), 0)
        """When the present period of ``SLOW_S`` began, and the bytes since."""
        self.last_failure = ""
        """Why the source last failed, in parentheses after a space."""
        self.has_started = False
        """Whether the source ever responded with a part of the video."""
        self.restarts = 0
        """How often bytes were discarded."""

    def check(self, size: int) -> None:
        """Check that the copy may have ``size`` bytes, and claim the disk space.

        Raises:
            VideoTooLargeError: it exceeds the limits, or does not fit on the disk.
            VideoBusyError: other copies occupy the disk.
        """
        if size > self._max_bytes:
            raise VideoTooLargeError(
                f"{self.display_name} is too large: it has at least {size} bytes, {self._max_bytes} are "
                "allowed"
            )
        self._claim.grow(size)

    def restart(self) -> None:
        """Discard all bytes."""
        self.restarts += bool(self.size)
        with self._disk_errors():
            self._file.seek(0)
            self._file.truncate()
        self.size = self._claim.written = self._claim.nbytes = 0
        self.checksum.reset()

    def check_pace(self, nbytes: int) -> None:
        """Record ``nbytes`` more; VideoUnreachableError if too few arrived in a period of ``SLOW_S``."""
        start_s, total = self._period
        total += nbytes
        self._period = start_s, total
        if time.monotonic() - start_s < SLOW_S:
            return
        if total < SLOW_BYTES:
            raise VideoUnreachableError(
                f"{self.display_name} arrives too slowly: {total} bytes in {SLOW_S:g} s{self.last_failure}; "
                "try again later, or use a nearer copy"
            )
        self._period = time.monotonic(), 0

    def append(self, block: bytes) -> None:
        """Append ``block``; raises as ``check``."""
        self.check(self.size + len(block))
        with self._disk_errors():
            self._file.write(block)
        self.checksum.update(block)
        self.size += len(block)
        self._claim.written = self.size

    def flush(self) -> None:
        """Write all bytes to the file."""
        with self._disk_errors():
            self._file.flush()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turns errors of the disk into VideoTooLargeError if it is full, or else VideoBusyError."""
        try:
            yield
        except OSError as error:
            reason = _FULL.get(error.errno or 0)
            if reason is None:
                raise VideoBusyError(
                    f"{self.display_name} cannot be fetched: the service's disk fails "
                    f"({os.strerror(error.errno or errno.EIO).lower()}); try again later"
                ) from error
            raise VideoTooLargeError(
                f"{self.display_name} does not fit on the service's disk: {reason} after {self.size} bytes; "
                "free some space, or set the service's TMPDIR to a folder on a larger disk"
            ) from error
