"""The queues of shaped links, read from the kernel while packets wait in them.

Asked by netlink directly: a socket belongs for good to the network namespace it was made in, so one process
can watch all hosts, from any thread, at a cost far below a millisecond a link.
"""

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from vbench.clusters.emulated.namespaces import network_of
from vbench.clusters.emulated.shaping import NIC, port_name
from vbench.record import LinkSample

# From linux/netlink.h, linux/rtnetlink.h and linux/gen_stats.h.
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_GETQDISC = 38
TCA_STATS2 = 7
TCA_STATS_QUEUE = 3
NLA_TYPE_MASK = 0x3FFF

HEADER = struct.Struct("=IHHII")
TCMSG = struct.Struct("=BBHiIII")
ATTRIBUTE = struct.Struct("=HH")
QUEUE = struct.Struct("=5I")

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queueing discipline's counters."""

    backlog_bytes: int
    dropped: int
    waits: int
    """Times it had packets and might not send: ``overlimits``."""


def queues(connection: socket.socket) -> dict[int, Queue]:
    """The queue of each interface, by its index, in the network namespace that the socket was made in."""
    request = TCMSG.pack(0, 0, 0, 0, 0, 0, 0)
    size = HEADER.size + len(request)
    connection.send(HEADER.pack(size, RTM_GETQDISC, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + request)
    found: dict[int, Queue] = {}
    while True:
        data = connection.recv(1 << 18)
        offset = 0
        while offset < len(data):
            length, kind, _, _, _ = HEADER.unpack_from(data, offset)
            if kind == NLMSG_DONE:
                return found
            if kind == NLMSG_ERROR:
                (number,) = struct.unpack_from("=i", data, offset + HEADER.size)
                raise OSError(-number, "the kernel does not tell the queues")
            interface = TCMSG.unpack_from(data, offset + HEADER.size)[3]
            body = data[offset + HEADER.size + TCMSG.size : offset + length]
            for attribute, value in _attributes(body):
                if attribute == TCA_STATS2:
                    for inner, numbers in _attributes(value):
                        if inner == TCA_STATS_QUEUE:
                            _, backlog, drops, _, overlimits = QUEUE.unpack_from(numbers)
                            found[interface] = Queue(backlog_bytes=backlog, dropped=drops, waits=overlimits)
            offset += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        yield kind & NLA_TYPE_MASK, data[offset + ATTRIBUTE.size : offset + length]
        offset += (max(length, ATTRIBUTE.size) + 3) & ~3


@dataclass(frozen=True, slots=True)
class LinkWatch:
    """Looks at the queues at both ends of every host's link."""

    _hosts: Mapping[str, tuple[socket.socket, int]]
    _switch: socket.socket
    _ports: Mapping[str, int]

    def look(self) -> dict[str, LinkSample]:
        """By the host's name."""
        inwards = queues(self._switch)
        found = {}
        for name, (connection, nic) in self._hosts.items():
            out = queues(connection)[nic]
            inward = inwards[self._ports[name]]
            found[name] = LinkSample(
                out_backlog_bytes=out.backlog_bytes,
                out_waits=out.waits,
                out_dropped=out.dropped,
                in_backlog_bytes=inward.backlog_bytes,
                in_waits=inward.waits,
                in_dropped=inward.dropped,
            )
        return found


@contextmanager
def watching(hosts: Mapping[str, int], switch: int = 1) -> Iterator[LinkWatch]:
    """Watch the links of hosts given by a process on each, in the order of the configuration.

    ``switch`` is a process in the switch's namespace; init is, and is 1 to those in its PID namespace.
    """
    with ExitStack() as stack:

        def ask(pid: int) -> tuple[socket.socket, dict[str, int]]:
            with network_of(pid):
                connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
                indices = {name: index for index, name in socket.if_nameindex()}
            connection.settimeout(TIMEOUT_S)
            return stack.enter_context(closing(connection)), indices

        ends = {}
        for name, pid in hosts.items():
            connection, indices = ask(pid)
            ends[name] = (connection, indices[NIC])
        connection, indices = ask(switch)
        ports = {name: indices[port_name(number)] for number, name in enumerate(hosts)}
        yield LinkWatch(ends, connection, ports)
