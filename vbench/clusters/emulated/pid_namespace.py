"""``python -m vbench.clusters.emulated.pid_namespace COMMAND ...``: runs it in a PID namespace of its own.

On a host of a cluster that is no trial's, a process sees those of its host alone: Ray's programs look for the
raylet of their host among all processes that they see. A trial's hosts share one, because its load process
watches them all.
"""

import os
import sys
from collections.abc import Sequence

from vbench.linux import namespaces, procfs

COMMAND = (sys.executable, "-m", "vbench.clusters.emulated.pid_namespace")


def leader(host_pid: int) -> int | None:
    """The first process of the PID namespace on a host, as this process knows it; None if there is none.

    ``host_pid``: the process of the host, which is an ancestor.
    """
    stats = procfs.all_stats()
    own = {host_pid}
    below = procfs.descendants(stats, own) - own
    return next((pid for pid in sorted(below) if _is_first(pid, stats[pid].parent)), None)


def _is_first(pid: int, parent: int) -> bool:
    """Whether a process has another PID namespace than its parent, in which it is the first."""
    levels = procfs.pids_by_namespace(pid)
    return len(levels) > len(procfs.pids_by_namespace(parent)) and levels[-1] == 1


def main(arguments: Sequence[str]) -> int:
    """Run the command and reap all below it, as PID 1 must; its exit status, 128 and more by a signal."""
    namespaces.die_with_parent()
    namespaces.unshare(namespaces.CLONE_NEWPID)
    first = os.fork()
    if first:
        return _status(os.waitpid(first, 0)[1])
    status = 1
    try:
        namespaces.die_with_parent()
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.private_mounts()
        namespaces.mount_proc()
        command = os.fork()
        if command == 0:
            namespaces.die_with_parent()
            os.execvp(arguments[0], list(arguments))
        ended = 0
        while ended != command:
            ended, code = os.wait()
            status = _status(code)
    finally:
        # All else in the PID namespace ends with this process.
        os._exit(status)


def _status(code: int) -> int:
    status = os.waitstatus_to_exitcode(code)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
