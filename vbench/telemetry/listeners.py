"""Which sockets accept connections on a TCP port, and which processes own them.

Serve's proxy listens with SO_REUSEPORT: a second server of the same user can listen on the same port, and the
kernel then distributes connections among both. So it is not enough that the right process listens.
"""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vbench.linux import procfs
from vbench.linux.netlink import netlink_socket
from vbench.linux.tcp_connections import NETLINK_SOCK_DIAG, listening_sockets
from vbench.record.load_report import Listener
from vbench.telemetry.periodic import repeated


def owners(inode: int) -> list[int]:
    """Processes that hold a socket open, of those that this process may inspect."""
    return [pid for pid in procfs.pids() if owns(pid, inode)]


def owns(pid: int, inode: int) -> bool:
    """Whether a process holds a socket open; False if it has ended or may not be inspected."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                if str(entry.readlink()) == f"socket:[{inode}]":
                    return True
    return False


class PortWatch:
    """Samples which sockets listen on some ports."""

    def __init__(self, host: str, ports: Collection[int], own: Collection[int]) -> None:
        """``own``: processes that may listen, as their children may: HAProxy is a child of Serve's actor."""
        self._host, self._ports, self._own = host, ports, own
        self._seen: Counter[int] = Counter()
        self._known: dict[int, Listener] = {}
        self._samples = 0
        self._lock = threading.Lock()

    @contextmanager
    def running(self, period_s: float) -> Iterator[None]:
        """Sample when the block begins, while it runs, and when it ends; errors are raised here."""
        with (
            netlink_socket(os.getpid(), NETLINK_SOCK_DIAG) as self._connection,
            repeated(self._sample, period_s),
        ):
            yield

    def _sample(self) -> None:
        with self._lock:
            self._samples += 1
            for port in self._ports:
                for inode in listening_sockets(self._connection, self._host, port):
                    self._seen[inode] += 1
                    if inode not in self._known:
                        # Now: its process may have ended later.
                        self._known[inode] = self._listener(inode, port)

    def _listener(self, inode: int, port: int) -> Listener:
        # First their children, which listen on sockets that their parents may hold too.
        family = [*(procfs.descendants(procfs.all_stats(), self._own) - set(self._own)), *self._own]
        own = next((pid for pid in family if owns(pid, inode)), None)
        pid = own if own is not None else next(iter(owners(inode)), None)
        command = " ".join(procfs.command(pid)) if pid is not None else ""
        return Listener(pid=pid, command=command[:200], own=own is not None, present_percent=0.0, port=port)

    def listeners(self) -> list[Listener]:
        """All that listened, and in which share of the samples."""
        return [
            replace(one, present_percent=100 * self._seen[inode] / self._samples)
            for inode, one in self._known.items()
        ]
