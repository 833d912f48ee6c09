"""Linux namespaces from Python: leaving those of the parent, joining others, mounting in one's own."""

import ctypes
import errno
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# From linux/sched.h, sys/mount.h and linux/prctl.h.
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent for new ones; OSError if the kernel refuses."""
    _checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Join the namespace that ``descriptor`` (an open ``/proc/PID/ns/...``) refers to."""
    _checked(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2); OSError if the kernel refuses."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _checked(result, f"mount {kind} on {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        why = MEANINGS.get((what, number), os.strerror(number))
        raise OSError(number, f"{what}: {why}")


MEANINGS = {
    ("unshare", errno.ENOSPC): "the limit on namespaces (sysctl user.max_*_namespaces) is reached",
    ("unshare", errno.EPERM): "the kernel does not allow this user to make namespaces",
}
"""In place of the C library's messages that would mislead."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, by ``kill -9`` too."""
    parent = os.getppid()
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def new_root(kinds: int) -> None:
    """Leave for a new user namespace, in which this user is root, and for ``kinds`` below it.

    Root that may not make user namespaces leaves for ``kinds`` alone.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER | kinds)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSPC) or user != 0:
            raise
        unshare(kinds)
        return
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def private_mounts() -> None:
    """Mounts made from now on in this mount namespace are seen nowhere else."""
    mount("none", "/", "none", MS_REC | MS_PRIVATE)


def mount_proc() -> None:
    """``/proc`` of the PID namespace this process is in."""
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def mount_memory(target: str, size_mb: int) -> None:
    """An empty folder in memory on ``target``, of ``size_mb`` at most, for all users as ``/tmp`` is."""
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size_mb}m,mode=1777")


NAMESPACE_FLAGS = (
    ("user", CLONE_NEWUSER),
    ("mnt", CLONE_NEWNS),
    ("net", CLONE_NEWNET),
    ("pid", CLONE_NEWPID),
)


def join(pid: int, kinds: Sequence[str]) -> None:
    """Join namespaces of a process, of these kinds: user, mnt, net, pid (of children, then).

    A namespace that this process is in already is left alone: the kernel refuses to join one's own user
    namespace.
    """
    wanted = [(name, flag) for name, flag in NAMESPACE_FLAGS if name in kinds]
    opened = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), flag) for name, flag in wanted]
    own = [Path(f"/proc/self/ns/{name}").stat().st_ino for name, _ in wanted]
    try:
        for (descriptor, flag), inode in zip(opened, own, strict=True):
            if os.fstat(descriptor).st_ino != inode:
                setns(descriptor, flag)
    finally:
        for descriptor, _ in opened:
            os.close(descriptor)


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Within the block, this thread is in the network namespace of a process: a socket made there stays."""
    if Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino:
        yield  # joining even one's own takes rights that not everybody has
        return
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        join(pid, ["net"])
        try:
            yield
        finally:
            setns(back, CLONE_NEWNET)
    finally:
        os.close(back)
