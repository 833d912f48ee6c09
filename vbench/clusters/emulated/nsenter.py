"""``python -m vbench.clusters.emulated.nsenter PID COMMAND ...``: runs a command on a host."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vbench.linux.namespaces import die_with_parent, join

ENTER = (sys.executable, "-m", "vbench.clusters.emulated.nsenter")
"""Followed by a process of the host, and by the command."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""Exit statuses of a shell for a command that cannot be run."""


def run_on_host(pid: int, command: Sequence[str], env: Mapping[str, str]) -> int:
    """Join the namespaces of the host's process ``pid`` for good, and run a command there.

    The command has this process's standard streams and terminal. Its exit status, 128 and more if a signal
    ended it; it is killed when this process ends. OSError if the host is gone.
    """
    here = Path.cwd()
    die_with_parent()
    join(pid, ["user", "pid", "net", "mnt"])
    os.chdir(here)
    # The kernel resets it when credentials change.
    die_with_parent()
    # Ctrl-C is the command's, which gets it from the terminal too.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        # Only a child is in the PID namespace that was joined.
        status = NOT_EXECUTABLE
        try:
            die_with_parent()
            signal.signal(signal.SIGINT, before)
            os.execvpe(command[0], list(command), dict(env))
        except OSError as error:
            status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            os.write(2, f"vbench: {command[0]} cannot be run: {error.strerror}\n".encode())
        finally:
            os._exit(status)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda given, _: os.kill(child, given))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def main(arguments: Sequence[str]) -> int:
    """Run the command with this process's environment; its exit status."""
    return run_on_host(int(arguments[0]), arguments[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
