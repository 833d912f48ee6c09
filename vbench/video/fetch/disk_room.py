"""How much of the disk fetched copies may take together, with a reserve for everybody else."""

import os
import threading
from types import TracebackType
from typing import Self

from vbench.video.errors import VideoBusyError, VideoTooLargeError

RESERVE_BYTES = 2 << 30
RESERVE_SHARE = 0.1
"""Left free on the disk that copies are written to: this share of it, ``RESERVE_BYTES`` at most."""


class DiskRoom:
    """What copies take of the disk that holds them, all of one process together; for many threads.

    Other processes count by what they leave free.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: set[Claim] = set()

    def copy(self, descriptor: int, called: str, share: float) -> "Claim":
        """The room of one copy while the block runs: of an open file, called ``called`` by its user.

        ``share``: of what is free without any copy, beyond the reserve, all copies together may take it.
        """
        return Claim(self, descriptor, called, share)

    def begin(self, claim: "Claim") -> None:
        """Count it from now on."""
        with self._lock:
            self._copies.add(claim)

    def end(self, claim: "Claim") -> None:
        """Count it no more."""
        with self._lock:
            self._copies.discard(claim)

    def grow(self, claim: "Claim", nbytes: int) -> None:
        """Let one copy have ``nbytes`` in all; raises as ``Claim.grow``."""
        disk = os.fstatvfs(claim.descriptor)
        reserve = int(min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize * RESERVE_SHARE))
        with self._lock:
            written = sum(copy.written for copy in self._copies)
            others = sum(copy.nbytes for copy in self._copies if copy is not claim)
            room = max(0, int(claim.share * (disk.f_bavail * disk.f_frsize + written - reserve)))
            if nbytes > room:
                raise VideoTooLargeError(
                    f"{claim.called} does not fit on the service's disk: {room / 1e6:.0f} MB are left for "
                    "copies, and it has more; free some, or set the service's TMPDIR to a folder on a larger "
                    "disk"
                )
            if others + nbytes > room:
                raise VideoBusyError(
                    f"{claim.called} does not fit on the service's disk now: copies for other requests have "
                    f"{others / 1e6:.0f} MB of the {room / 1e6:.0f} MB that all together may have; try again "
                    "later"
                )
            claim.nbytes = nbytes


class Claim:
    """The room of one copy."""

    def __init__(self, room: DiskRoom, descriptor: int, called: str, share: float) -> None:
        self._room = room
        self.descriptor, self.called, self.share = descriptor, called, share
        self.nbytes = 0
        """What it may have: what it was announced to have, or what came so far."""
        self.written = 0
        """Of these, what is on the disk."""

    def grow(self, nbytes: int) -> None:
        """Have room for ``nbytes`` in all.

        Raises:
            VideoTooLargeError: it would not fit even without other copies.
            VideoBusyError: other copies have the room.
        """
        self._room.grow(self, max(nbytes, self.nbytes))

    def __enter__(self) -> Self:
        self._room.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.end(self)


COPIES = DiskRoom()
"""Of this process."""
