"""Samples of the shaped links' queues and classes, read from the kernel."""

import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from vbench.clusters.emulated.shaping import FIRST_OTHER, NIC, UNKNOWN, WHOLE, port_name
from vbench.linux.namespaces import network_of
from vbench.linux.netlink import dump, netlink_socket
from vbench.record.network import LinkSample

# From linux/rtnetlink.h, linux/pkt_sched.h and linux/gen_stats.h.
RTM_GETQDISC, RTM_GETTCLASS = 38, 42
TCA_KIND, TCA_OPTIONS, TCA_STATS2 = 1, 2, 7
TCA_STATS_BASIC, TCA_STATS_QUEUE = 1, 3
TCA_TBF_PARMS, TCA_TBF_RATE64 = 1, 4
TCA_HTB_PARMS, TCA_HTB_CEIL64 = 1, 7
NLA_TYPE_MASK = 0x3FFF

TCMSG = struct.Struct("=BBHiIII")
ATTRIBUTE = struct.Struct("=HH")
QUEUE = struct.Struct("=5I")
BASIC = struct.Struct("=Q")
RATE = struct.Struct("=8xI")
"""A tc_ratespec, of which the rate, in bytes a second, is used."""
CEIL = struct.Struct("=12x8xI")
"""The second tc_ratespec of a tc_htb_opt."""
RATE64 = struct.Struct("=Q")

LISTED_BYTES = 1_000_000
"""A class that has sent less is not listed in a sample: what Ray's nodes say to each other is not a flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queueing discipline's counters."""

    backlog_bytes: int
    dropped: int
    waits: int
    """Times it had packets and might not send: ``overlimits``."""
    rate_mbps: float | None
    """Of a token bucket (TBF); None for another discipline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class of an HTB tree."""

    ceil_mbps: float
    sent_bytes: int
    backlog_bytes: int


def queues(connection: socket.socket) -> dict[int, Queue]:
    """The queue of each interface, by its index, in the network namespace that the socket was made in."""
    by_interface: dict[int, Queue] = {}
    for body in dump(connection, RTM_GETQDISC, TCMSG.pack(0, 0, 0, 0, 0, 0, 0), "the queues"):
        interface = TCMSG.unpack_from(body)[3]
        top = dict(_attributes(body[TCMSG.size :]))
        rate_mbps = None
        if top.get(TCA_KIND, b"").rstrip(b"\0") == b"tbf":
            options = dict(_attributes(top[TCA_OPTIONS]))
            rate_mbps = _mbps(options, TCA_TBF_PARMS, RATE, TCA_TBF_RATE64)
        for inner, numbers in _attributes(top.get(TCA_STATS2, b"")):
            if inner == TCA_STATS_QUEUE:
                _, backlog, drops, _, overlimits = QUEUE.unpack_from(numbers)
                by_interface[interface] = Queue(
                    backlog_bytes=backlog, dropped=drops, waits=overlimits, rate_mbps=rate_mbps
                )
    return by_interface


class Classes:
    """Reads the HTB classes of one interface; hundreds per sample, so that an unchanged one costs no
    parsing."""

    def __init__(self, connection: socket.socket, interface: int) -> None:
        """``connection``: a netlink socket made in the interface's network namespace."""
        self._connection = connection
        self._question = TCMSG.pack(0, 0, 0, interface, 0, 0, 0)
        self._ceils_mbps: dict[bytes, float] = {}
        """A class's options as the kernel writes them -> its ceiling."""

    def sample(self) -> dict[int, Class]:
        """By handle; empty if the interface has no such tree."""
        by_handle: dict[int, Class] = {}
        for body in dump(self._connection, RTM_GETTCLASS, self._question, "the classes"):
            handle = TCMSG.unpack_from(body)[4]
            top = dict(_attributes(body[TCMSG.size :]))
            if top.get(TCA_KIND, b"").rstrip(b"\0") != b"htb":
                continue
            options = top[TCA_OPTIONS]
            if options not in self._ceils_mbps:
                parsed = dict(_attributes(options))
                self._ceils_mbps[options] = _mbps(parsed, TCA_HTB_PARMS, CEIL, TCA_HTB_CEIL64)
            stats = dict(_attributes(top[TCA_STATS2]))
            by_handle[handle] = Class(
                ceil_mbps=self._ceils_mbps[options],
                sent_bytes=BASIC.unpack_from(stats[TCA_STATS_BASIC])[0],
                backlog_bytes=QUEUE.unpack_from(stats[TCA_STATS_QUEUE])[1],
            )
        return by_handle


def _mbps(options: Mapping[int, bytes], parameters: int, rate: struct.Struct, wide: int) -> float:
    """A rate in 10^6 bits per second: of the wide attribute, which is there if 32 bits are too few."""
    value = RATE64.unpack_from(options[wide]) if wide in options else rate.unpack_from(options[parameters])
    return float(8e-6 * value[0])


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        yield kind & NLA_TYPE_MASK, data[offset + ATTRIBUTE.size : offset + length]
        offset += (max(length, ATTRIBUTE.size) + 3) & ~3


@dataclass(frozen=True, slots=True)
class LinkWatch:
    """Samples the queues and classes at both ends of every host's link."""

    _hosts: Mapping[str, tuple[socket.socket, int]]
    _classes: Mapping[str, Classes]
    _switch: socket.socket
    _ports: Mapping[str, int]

    def sample(self) -> dict[str, LinkSample]:
        """By the host's name."""
        inwards = queues(self._switch)
        samples = {}
        for name, (connection, nic) in self._hosts.items():
            out = queues(connection)[nic]
            inward = inwards[self._ports[name]]
            began_s = time.monotonic()
            classes = self._classes[name].sample()
            at_s = time.monotonic()
            ceils = [flow.ceil_mbps for handle, flow in classes.items() if handle >= FIRST_OTHER]
            samples[name] = LinkSample(
                out_backlog_bytes=out.backlog_bytes,
                out_waits=out.waits,
                out_dropped=out.dropped,
                in_backlog_bytes=inward.backlog_bytes,
                in_waits=inward.waits,
                in_dropped=inward.dropped,
                out_mbps=classes[WHOLE].ceil_mbps if WHOLE in classes else None,
                in_mbps=inward.rate_mbps,
                flow_least_mbps=min(ceils, default=None),
                flow_most_mbps=max(ceils, default=None),
                flow_classes=len(ceils),
                at_s=at_s,
                began_s=began_s,
                flows={
                    f"{handle:x}": (flow.sent_bytes, flow.backlog_bytes)
                    for handle, flow in classes.items()
                    if handle >= UNKNOWN and flow.sent_bytes >= LISTED_BYTES
                },
            )
        return samples


@contextmanager
def watching(hosts: Mapping[str, int], switch: int = 1) -> Iterator[LinkWatch]:
    """Watch the links of hosts given by a process on each, in the order of the configuration.

    ``switch`` is a process in the switch's namespace; init is, and is 1 to those in its PID namespace.
    """
    with ExitStack() as stack:

        def ask(pid: int) -> tuple[socket.socket, dict[str, int]]:
            with network_of(pid):
                indices = {name: index for index, name in socket.if_nameindex()}
            return stack.enter_context(netlink_socket(pid, socket.NETLINK_ROUTE)), indices

        nics, classes = {}, {}
        for name, pid in hosts.items():
            connection, indices = ask(pid)
            nics[name] = (connection, indices[NIC])
            classes[name] = Classes(connection, indices[NIC])
        connection, indices = ask(switch)
        ports = {name: indices[port_name(number)] for number, name in enumerate(hosts)}
        yield LinkWatch(nics, classes, connection, ports)
