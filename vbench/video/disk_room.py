"""Whether the disk has room for what is being written, with a reserve for everybody else."""

import os

from vbench.video.errors import VideoTooLargeError

RESERVE_BYTES = 2 << 30
RESERVE_SHARE = 0.1
"""Left free on the disk that copies are written to: this share of it, ``RESERVE_BYTES`` at most."""


def check_room(descriptor: int, nbytes: int, called: str) -> None:
    """Check that ``nbytes`` more fit on the disk that holds an open file, called ``called`` by its user.

    Raises:
        VideoTooLargeError: less than the reserve would be left.
    """
    disk = os.fstatvfs(descriptor)
    free = disk.f_bavail * disk.f_frsize
    reserve = int(min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize * RESERVE_SHARE))
    if free - nbytes < reserve:
        raise VideoTooLargeError(
            f"{called} does not fit on the service's disk: {max(0, free - reserve) / 1e6:.0f} MB are left "
            "for copies, and it has more; free some, or set the service's TMPDIR to a folder on a larger disk"
        )
