"""The TCP connections of one network namespace, counted by their remote ends.

Asked by netlink (sock_diag(7)): /proc/net/tcp walks the kernel's table of all connections of all namespaces
at each read, 15 ms of CPU a look on a small machine, where netlink takes 0.4 ms. A socket belongs for good to
the namespace it was made in.
"""

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache

from vbench.clusters.emulated.namespaces import network_of

Address = tuple[str, int]
"""IP address and port."""

# From linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TCP_ESTABLISHED = 1

HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBBI48x")
"""Family, protocol, extensions, padding, states as bits, and any address."""
ANSWER = struct.Struct("=4x 2x 2s 16x 16s")
"""Of an inet_diag_msg: remote port and remote address, both in network order."""

TIMEOUT_S = 5.0


class Remotes:
    """Counts the established connections of one network namespace."""

    def __init__(self, connection: socket.socket) -> None:
        """``connection``: a netlink socket made in that namespace."""
        self._connection = connection

    def look(self) -> Counter[Address]:
        """Remote address -> connections; OSError where the kernel does not tell.

        Whose they are is not asked: to a raylet's object manager nobody but raylets connect. IPv4 within
        IPv6, as gRPC dials, counts as the IPv4 that it is.
        """
        found: Counter[Address] = Counter()
        for family in (socket.AF_INET, socket.AF_INET6):
            found.update(self._of_family(family))
        return found

    def _of_family(self, family: int) -> Iterator[Address]:
        request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_ESTABLISHED)
        size = HEADER.size + len(request)
        header = HEADER.pack(size, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        self._connection.send(header + request)
        while True:
            data = self._connection.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, kind, _, _, _ = HEADER.unpack_from(data, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (number,) = struct.unpack_from("=i", data, offset + HEADER.size)
                    raise OSError(-number, "the kernel does not tell its TCP connections")
                port, host = ANSWER.unpack_from(data, offset + HEADER.size)
                yield _address(family, host), int.from_bytes(port)
                offset += (length + 3) & ~3


@lru_cache(maxsize=4096)
def _address(family: int, host: bytes) -> str:
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(host[:4]))
    ip = ipaddress.IPv6Address(host)
    return str(ip.ipv4_mapped or ip)


@contextmanager
def remotes_of(pid: int) -> Iterator[Remotes]:
    """Those of the network namespace that a process is in, whatever becomes of the process."""
    with network_of(pid):
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    connection.settimeout(TIMEOUT_S)
    with closing(connection):
        yield Remotes(connection)
