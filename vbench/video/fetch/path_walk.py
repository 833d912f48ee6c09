"""Opens a path one name at a time, as the kernel would, but refuses the kernel's own file systems.

A path through ``/proc`` may end anywhere: in a file that another process has open, or in another container's
files. What counts is the type of the file system, since each can be mounted elsewhere too, such as at
``/host/proc`` in a container.
"""

import errno
import os
import stat
from pathlib import Path

KERNEL_FILESYSTEMS = frozenset(
    {
        *("binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "fusectl", "mqueue", "nfsd", "nsfs", "openpromfs", "proc"),
        *("pstore", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs"),
    }
)
"""Types of file systems whose files are kernel state, other processes, or devices."""

MAX_LINKS = 40
"""Symbolic links that Linux follows in one path, see path_resolution(7)."""


class KernelFileError(Exception):
    """The path leads through one of the kernel's own file systems."""


class UnreachableError(Exception):
    """The path cannot be followed to its end; the cause is the OSError."""

    def __init__(self, real: str) -> None:
        """``real``: where it would lead, with the links so far resolved."""
        super().__init__(real)
        self.real = real


def open_path(path: Path) -> int:
    """An ``O_PATH`` descriptor of what ``path`` leads to, following links; opens nothing for reading.

    Raises:
        KernelFileError: a part of the path is in one of ``KERNEL_FILESYSTEMS``.
        UnreachableError: there is no such file, or a folder may not be entered.
    """
    forbidden = _kernel_devices()
    names = str(Path.cwd() / path).split("/")[::-1]
    here = _root()
    links = 0
    try:
        while names:
            name = names.pop()
            if name in ("", "."):
                continue
            try:
                there = _step(name, here)
            except (OSError, ValueError) as error:
                raise UnreachableError(_joined(here, [name, *reversed(names)])) from error
            status = os.fstat(there)
            if status.st_dev in forbidden:
                os.close(there)
                raise KernelFileError
            if not stat.S_ISLNK(status.st_mode):
                os.close(here)
                here = there
                continue
            target = os.readlink("", dir_fd=there)
            os.close(there)
            links += 1
            if links > MAX_LINKS:
                too_many = OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                raise UnreachableError(_joined(here, [name, *reversed(names)])) from too_many
            if target.startswith("/"):
                os.close(here)
                here = _root()
            names += reversed(target.split("/"))
    except BaseException:
        os.close(here)
        raise
    return here


def _step(name: str, here: int) -> int:
    """A descriptor of ``name`` in the folder ``here``; links are not followed."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(
            name, flags | os.O_DIRECTORY, dir_fd=here
        )  # as a folder, so that an automount is triggered
    except NotADirectoryError:
        return os.open(name, flags, dir_fd=here)


def path_of_descriptor(descriptor: int) -> Path:
    """The present path of an open file."""
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _root() -> int:
    return os.open("/", os.O_PATH | os.O_CLOEXEC)


def _joined(here: int, names: list[str]) -> str:
    return os.path.normpath(str(path_of_descriptor(here) / "/".join(name for name in names if name)))


def _kernel_devices() -> frozenset[int]:
    """Device numbers (``st_dev``) of the kernel's file systems, wherever they are mounted."""
    devices = set()
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        # ID, parent, MAJOR:MINOR, root, mount point, options, tags..., -, TYPE: proc_pid_mountinfo(5)
        mount, _, source = line.partition(" - ")
        if source.split(" ", 1)[0] in KERNEL_FILESYSTEMS:
            major, minor = mount.split(" ", 3)[2].split(":")
            devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)
