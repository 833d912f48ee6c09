"""``python -m vbench.clusters.private_network COMMAND ...``: runs a command in a network of its own.

Ray 2.60 binds most of its ports (raylets, workers, the agents' metrics) to all addresses of the machine, and
several of them require no token. In a network namespace with only loopback nobody else can reach them.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing

from vbench.errors import last_reason
from vbench.linux.namespaces import CLONE_NEWNET, die_with_parent, new_root, unshare

COMMAND = (sys.executable, "-m", "vbench.clusters.private_network")

# From linux/sockios.h and linux/if.h.
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = struct.Struct("16sh22x")

TRY_S = 20.0


def refusal() -> str | None:
    """Why the kernel allows this user no network namespace; None if it does. Tried in a process of its
    own."""
    try:
        done = subprocess.run(
            [*COMMAND, sys.executable, "-c", ""], capture_output=True, text=True, timeout=TRY_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TRY_S:g} s"
    if done.returncode == 0:
        return None
    return last_reason(done.stderr, f"exit status {done.returncode}")


def main(arguments: Sequence[str]) -> None:
    """Enter a new network namespace, bring up its loopback, and execute the command."""
    die_with_parent()
    if os.geteuid() == 0:
        unshare(CLONE_NEWNET)  # without a user namespace, in which root could not read others' files
    else:
        new_root(CLONE_NEWNET)
        die_with_parent()  # the kernel resets it when credentials change
    _bring_up("lo")
    os.execvp(arguments[0], list(arguments))


def _bring_up(interface: str) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        asked = IFREQ.pack(interface.encode(), 0)
        name, flags = IFREQ.unpack(fcntl.ioctl(control, SIOCGIFFLAGS, asked))
        fcntl.ioctl(control, SIOCSIFFLAGS, IFREQ.pack(name, flags | IFF_UP))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"the kernel does not allow a network namespace: {error}")
