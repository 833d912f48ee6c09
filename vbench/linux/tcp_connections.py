"""TCP sockets of one network namespace: connections counted by their remote ends, and who listens.

Asked by netlink (sock_diag(7)): /proc/net/tcp walks the kernel's table of all connections of all namespaces
at each read, which takes 15 ms of CPU on a small machine; netlink takes 0.4 ms.
"""

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from vbench.linux.netlink import dump, netlink_socket

Address = tuple[str, int]
"""IP address and port."""

# From linux/netlink.h, linux/sock_diag.h and net/tcp_states.h; the formats are linux/inet_diag.h's.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
TCP_ESTABLISHED, TCP_LISTEN = 1, 10

REQUEST = struct.Struct("=BBBBI48x")
"""Family, protocol, extensions, padding, states as bits, and any address."""
ESTABLISHED = struct.Struct("=4x 2x 2s 16x 16s")
"""Of an inet_diag_msg: remote port and remote address, both in network order."""
DIAG_BYTES = 72
"""Size of an inet_diag_msg; attributes follow."""
INET_DIAG_INFO = 2
ATTRIBUTE = struct.Struct("=HH")
ACKNOWLEDGED = struct.Struct("=120x Q")
"""Of a tcp_info (linux/tcp.h): ``tcpi_bytes_acked``."""
LISTENING = struct.Struct("=4x 2s 2x 16s 16x 4x 8x 4x 4x 4x 4x I")
"""Of an inet_diag_msg: local port and local address in network order, and the inode."""


@dataclass(frozen=True, slots=True)
class PeerConnections:
    """The established connections to one remote address."""

    count: int = 0
    sent_bytes: int = 0
    """Payload that the other side has acknowledged, over all of them, since each was opened."""


class TcpConnections:
    """Counts the established connections of one network namespace."""

    def __init__(self, connection: socket.socket) -> None:
        """``connection``: a netlink socket made in that namespace."""
        self._connection = connection

    def by_peer(self) -> Counter[Address]:
        """Remote address -> connections; OSError if the kernel does not report them.

        Owners are not checked: only raylets connect to a raylet's object manager. IPv4 within
        IPv6, as gRPC dials, counts as the IPv4 that it is.
        """
        return Counter({address: peer.count for address, peer in self.traffic_by_peer().items()})

    def traffic_by_peer(self) -> dict[Address, PeerConnections]:
        """Remote address -> connections and what was sent over them; otherwise as ``by_peer``."""
        peers: dict[Address, PeerConnections] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            for address, sent_bytes in self._of_family(family):
                before = peers.get(address, PeerConnections())
                peers[address] = PeerConnections(before.count + 1, before.sent_bytes + sent_bytes)
        return peers

    def _of_family(self, family: int) -> Iterator[tuple[Address, int]]:
        info = 1 << INET_DIAG_INFO - 1
        request = REQUEST.pack(family, socket.IPPROTO_TCP, info, 0, 1 << TCP_ESTABLISHED)
        for body in dump(self._connection, SOCK_DIAG_BY_FAMILY, request, "its TCP connections"):
            port, host = ESTABLISHED.unpack_from(body)
            yield (_address(family, host), int.from_bytes(port)), _acknowledged(body)


def _acknowledged(body: bytes) -> int:
    """Bytes that the other side has acknowledged; 0 if the kernel does not say so."""
    offset = DIAG_BYTES
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if kind == INET_DIAG_INFO and length >= ATTRIBUTE.size + ACKNOWLEDGED.size:
            return int(ACKNOWLEDGED.unpack_from(body, offset + ATTRIBUTE.size)[0])
        offset += (max(length, ATTRIBUTE.size) + 3) & ~3
    return 0


@lru_cache(maxsize=4096)
def _address(family: int, host: bytes) -> str:
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(host[:4]))
    ip = ipaddress.IPv6Address(host)
    return str(ip.ipv4_mapped or ip)


@contextmanager
def tcp_connections_of(pid: int) -> Iterator[TcpConnections]:
    """Those of a process's network namespace, even if the process ends meanwhile."""
    with netlink_socket(pid, NETLINK_SOCK_DIAG) as connection:
        yield TcpConnections(connection)


def listening_sockets(connection: socket.socket, host: str, port: int) -> set[int]:
    """Inodes of the sockets that take connections to ``host:port``, also those that listen on any address.

    ``connection``: a netlink socket of the network namespace. OSError if the kernel does not report them.
    """
    inodes = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_LISTEN)
        for body in dump(connection, SOCK_DIAG_BY_FAMILY, request, "its listening sockets"):
            local_port, address, inode = LISTENING.unpack_from(body)
            if int.from_bytes(local_port) == port and _takes(family, address, host):
                inodes.add(inode)
    return inodes


def _takes(family: int, address: bytes, host: str) -> bool:
    """Whether a socket that listens on ``address`` takes connections to ``host``, an IPv4 address."""
    if family == socket.AF_INET:
        return address[:4] in (bytes(4), socket.inet_aton(host))
    ip = ipaddress.IPv6Address(address)
    return not int(ip) or ip.ipv4_mapped in (ipaddress.IPv4Address(0), ipaddress.IPv4Address(host))
