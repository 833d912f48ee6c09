"""``python ordinary.py COMMAND ...`` as root: run it as nobody, who has no privilege and is in no group.

Where the interpreter lies below a folder that others may not enter, such as ``/root``, this process's own
view of that folder (in a mount namespace) is one that holds the interpreter alone, and that all may enter.
"""

import os
import stat
import sys
from pathlib import Path

from vbench.linux import namespaces

NOBODY = 65534
MS_BIND = 0x1000


def closed_above(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that others may not enter."""
    ways = [*reversed(path.parents), path]
    return next((folder for folder in ways if not folder.stat().st_mode & stat.S_IXOTH), None)


def show(path: Path) -> None:
    """Make ``path`` reachable for all, in a mount namespace of this process."""
    closed = closed_above(path)
    if closed is None:
        return
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.private_mounts()
    # Opened before it is covered: the descriptor still leads to it.
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY)
    namespaces.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
    path.mkdir(parents=True)
    namespaces.mount(f"/proc/self/fd/{folder}", str(path), "none", MS_BIND | namespaces.MS_REC)
    os.close(folder)


def main() -> None:
    show(Path(sys.base_prefix).resolve())
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
