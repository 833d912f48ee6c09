"""The queues of shaped links, read from the kernel while packets wait in them."""

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from vbench.clusters.emulated.shaping import NIC, port_name
from vbench.namespaces import network_of
from vbench.netlink import asking, dump
from vbench.network import LinkSample

# From linux/rtnetlink.h, linux/pkt_sched.h and linux/gen_stats.h.
RTM_GETQDISC = 38
TCA_STATS2 = 7
TCA_STATS_QUEUE = 3
NLA_TYPE_MASK = 0x3FFF

TCMSG = struct.Struct("=BBHiIII")
ATTRIBUTE = struct.Struct("=HH")
QUEUE = struct.Struct("=5I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queueing discipline's counters."""

    backlog_bytes: int
    dropped: int
    waits: int
    """Times it had packets and might not send: ``overlimits``."""


def queues(connection: socket.socket) -> dict[int, Queue]:
    """The queue of each interface, by its index, in the network namespace that the socket was made in."""
    found: dict[int, Queue] = {}
    for body in dump(connection, RTM_GETQDISC, TCMSG.pack(0, 0, 0, 0, 0, 0, 0), "the queues"):
        interface = TCMSG.unpack_from(body)[3]
        for attribute, value in _attributes(body[TCMSG.size :]):
            if attribute == TCA_STATS2:
                for inner, numbers in _attributes(value):
                    if inner == TCA_STATS_QUEUE:
                        _, backlog, drops, _, overlimits = QUEUE.unpack_from(numbers)
                        found[interface] = Queue(backlog_bytes=backlog, dropped=drops, waits=overlimits)
    return found


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
                indices = {name: index for index, name in socket.if_nameindex()}
            return stack.enter_context(asking(pid, socket.NETLINK_ROUTE)), indices

        ends = {}
        for name, pid in hosts.items():
            connection, indices = ask(pid)
            ends[name] = (connection, indices[NIC])
        connection, indices = ask(switch)
        ports = {name: indices[port_name(number)] for number, name in enumerate(hosts)}
        yield LinkWatch(ends, connection, ports)
