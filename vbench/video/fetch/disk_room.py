"""Limits how much of the disk the fetched copies of a process take together; leaves a reserve for others."""

import os
import threading
from types import TracebackType
from typing import Self

from vbench.video.errors import VideoBusyError, VideoTooLargeError

RESERVE_BYTES = 2 << 30
RESERVE_SHARE = 0.1
"""Left free on the disk of the copies: this share of it, at most ``RESERVE_BYTES``."""


class DiskRoom:
    """What the copies of one process take of the disk together; safe for many threads.

    Other processes count through the free space that they leave.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: set[DiskClaim] = set()

    def claim(self, descriptor: int, display_name: str, share: float) -> "DiskClaim":
        """The room of one copy; counts while the claim is entered.

        Args:
            descriptor: of the copy's open file.
            display_name: the video, for messages.
            share: of what would be free without any copy, beyond the reserve, that all copies may take
                together.
        """
        return DiskClaim(self, descriptor, display_name, share)

    def add(self, claim: "DiskClaim") -> None:
        """Count a claim from now on."""
        with self._lock:
            self._claims.add(claim)

    def remove(self, claim: "DiskClaim") -> None:
        """Stop counting a claim."""
        with self._lock:
            self._claims.discard(claim)

    def grow(self, claim: "DiskClaim", nbytes: int) -> None:
        """Let one copy have ``nbytes`` in all; raises as ``DiskClaim.grow``."""
        disk = os.fstatvfs(claim.descriptor)
        reserve = int(min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize * RESERVE_SHARE))
        with self._lock:
            written = sum(copy.written for copy in self._claims)
            others = sum(copy.nbytes for copy in self._claims if copy is not claim)
            room = max(0, int(claim.share * (disk.f_bavail * disk.f_frsize + written - reserve)))
            if nbytes > room:
                raise VideoTooLargeError(
                    f"{claim.display_name} does not fit on the service's disk: {room / 1e6:.0f} MB are left "
                    "for copies, and it has more; free some space, or set the service's TMPDIR to a folder "
                    "on a larger disk"
                )
            if others + nbytes > room:
                raise VideoBusyError(
                    f"{claim.display_name} does not fit on the service's disk now: copies for other requests "
                    f"take {others / 1e6:.0f} MB of the {room / 1e6:.0f} MB for all copies; try again later"
                )
            claim.nbytes = nbytes


class DiskClaim:
    """The room of one copy."""

    def __init__(self, room: DiskRoom, descriptor: int, display_name: str, share: float) -> None:
        self._room = room
        self.descriptor, self.display_name, self.share = descriptor, display_name, share
        self.nbytes = 0
        """Claimed bytes: the announced size, or what has arrived so far."""
        self.written = 0
        """Bytes of these that are on the disk."""

    def grow(self, nbytes: int) -> None:
        """Claim room for ``nbytes`` in all.

        Raises:
            VideoTooLargeError: the copy would not fit even without others.
            VideoBusyError: other copies take the room.
        """
        self._room.grow(self, max(nbytes, self.nbytes))

    def __enter__(self) -> Self:
        self._room.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.remove(self)


COPIES = DiskRoom()
"""The copies of this process."""
