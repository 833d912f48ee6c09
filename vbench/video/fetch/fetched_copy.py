"""What came of a fetched video so far: bounded in bytes, by the disk's room, and in how slow it may be."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import xxhash

from vbench.video.errors import VideoBusyError, VideoTooLargeError, VideoUnreachableError
from vbench.video.fetch.disk_room import Claim
from vbench.video.types import VideoLimits

SLOW_S = 20.0
SLOW_BYTES = 256 << 10
"""What a source gives in each stretch of ``SLOW_S`` at least, or it is given up: 100 kbit/s. Whoever fetches
takes a place from others who would."""

_FULL = {
    errno.ENOSPC: "the disk was full",
    errno.EDQUOT: "the service's user had no more quota",
    errno.EFBIG: "the service may write no larger file (see ulimit -f)",
}


class FetchedCopy:
    """The bytes so far."""

    def __init__(self, file: IO[bytes], called: str, limits: VideoLimits, room: Claim) -> None:
        self._file, self._room = file, room
        self._most = min(limits.max_size_bytes, limits.max_fetched_bytes)
        self.called = called
        self.size = 0
        self.checksum = xxhash.xxh3_128()
        self._stretch = (time.monotonic(), 0)
        """When the present stretch of ``SLOW_S`` began, and the bytes since."""
        self.trouble = ""
        """Why the source broke off last."""
        self.begun = False
        """Whether the source ever answered with a part of it."""
        self.restarts = 0
        """Times that bytes were forgotten."""

    def check(self, size: int) -> None:
        """VideoTooLargeError for a size that is not allowed, or that the disk has no room for; VideoBusyError
        if other copies have that."""
        if size > self._most:
            raise VideoTooLargeError(
                f"{self.called} is too large: it has {size} bytes or more, {self._most} are allowed"
            )
        self._room.grow(size)

    def restart(self) -> None:
        """Forget all of them."""
        self.restarts += bool(self.size)
        with self._on_disk():
            self._file.seek(0)
            self._file.truncate()
        self.size = self._room.written = self._room.nbytes = 0
        self.checksum.reset()

    def check_pace(self, came: int) -> None:
        """VideoUnreachableError if too little came in a stretch of ``SLOW_S``; ``came``: bytes just now."""
        begun_s, total = self._stretch
        total += came
        self._stretch = begun_s, total
        if time.monotonic() - begun_s < SLOW_S:
            return
        if total < SLOW_BYTES:
            raise VideoUnreachableError(
                f"{self.called} comes too slowly: {total} bytes in {SLOW_S:g} s{self.trouble}; try again "
                "later, or give a copy that lies nearer"
            )
        self._stretch = time.monotonic(), 0

    def append(self, block: bytes) -> None:
        """Add to them."""
        self.check(self.size + len(block))
        with self._on_disk():
            self._file.write(block)
        self.checksum.update(block)
        self.size += len(block)
        self._room.written = self.size

    def flush(self) -> None:
        """Have all of them in the file."""
        with self._on_disk():
            self._file.flush()

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """VideoTooLargeError if the disk, or what this user may have of it, proves to be full all the same;
        VideoBusyError if the disk fails."""
        try:
            yield
        except OSError as error:
            why = _FULL.get(error.errno or 0)
            if why is None:
                raise VideoBusyError(
                    f"{self.called} cannot be fetched: the service's disk fails "
                    f"({os.strerror(error.errno or errno.EIO).lower()}); try again later"
                ) from error
            raise VideoTooLargeError(
                f"{self.called} does not fit on the service's disk: {why} after {self.size} bytes of it; "
                "free some, or set the service's TMPDIR to a folder on a larger disk"
            ) from error
