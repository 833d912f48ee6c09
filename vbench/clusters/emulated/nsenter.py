"""``python -m vbench.clusters.emulated.nsenter PID COMMAND ...``: runs a command on a host."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vbench.linux.namespaces import die_with_parent, join


def main(arguments: Sequence[str]) -> int:
    """Join the host's namespaces and run the command; its exit status (128 and more: by a signal)."""
    pid, command = int(arguments[0]), list(arguments[1:])
    die_with_parent()
    here = Path.cwd()
    join(pid, ["user", "pid", "net", "mnt"])
    os.chdir(here)
    # The kernel resets it when credentials change.
    die_with_parent()
    child = os.fork()
    if child == 0:
        # Only a child is in the PID namespace that was joined.
        die_with_parent()
        os.execv(command[0], command)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
