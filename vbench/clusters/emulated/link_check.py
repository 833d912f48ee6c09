"""Checks a link by a short transfer: do one flow, and all flows, get the configured rate?"""

import errno
import math
import selectors
import socket
import time
from collections.abc import Sequence

from vbench.clusters.emulated.topology import OBJECT_MANAGER_PORT, Host
from vbench.record.network import LinkCheck

SETTLE_S = 0.25
"""For TCP to find its rate, and for the bursts that a token bucket allows at first."""

MEASURE_S = 0.75

SHORT_S = 0.4
"""After the trial, when only large changes matter."""

WIRE_PER_PAYLOAD = 1514 / 1448
"""Of a full Ethernet frame (1500 bytes and the header) 1448 are payload: 20 IP, 20 TCP, 12 its timestamps."""

LONGEST_S = 10.0
"""A sender stops after this time."""

MOST_FLOWS = 32

RELEASE_S = 10.0
POLL_S = 0.05

TRIES = 3
"""Checks of a link before the trial is given up."""

CONCURRENT_MBPS = 2500
"""Checks run at the same time while they ask the machine for no more than this in all."""


def flows_to_fill(sender: Host, receiver: Host) -> int:
    """TCP connections that fill the narrower NIC."""
    return min(MOST_FLOWS, math.ceil(min(sender.nic_mbps, receiver.nic_mbps) / sender.flow_mbps))


def expected_mbps(sender: Host, receiver: Host, flows: int) -> float:
    """The rate that ``flows`` connections together may have, in 10^6 bits of frames per second."""
    return min(flows * sender.flow_mbps, sender.nic_mbps, receiver.nic_mbps)


def pairs(hosts: Sequence[Host]) -> list[tuple[Host, Host]]:
    """Each host sends to the next, in a ring: every link is used in both directions."""
    return list(zip(hosts, [*hosts[1:], hosts[0]], strict=True))


def fan_in(hosts: Sequence[Host]) -> tuple[Host, list[Host]] | None:
    """The host with the widest NIC and others that fill it together; None if one of them can alone."""
    receiver = max(hosts, key=lambda host: host.nic_mbps)
    others = sorted((host for host in hosts if host is not receiver), key=lambda host: -host.nic_mbps)
    if others[0].nic_mbps >= receiver.nic_mbps:
        return None
    senders: list[Host] = []
    while others and sum(host.nic_mbps for host in senders) < receiver.nic_mbps:
        senders.append(others.pop(0))
    return receiver, senders


Planned = tuple[Host, Host, int]
"""Sender, receiver and connections."""


def rounds(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Groups of checks that may run at the same time: if a transfer fills a NIC, no other uses its two hosts,
    so that acknowledgements do not wait in a full queue; and each group stays below ``CONCURRENT_MBPS``."""
    groups: list[list[Planned]] = []
    for one in planned:
        fitting = (others for others in groups if _fits(one, others))
        others = next(fitting, None)
        if others is None:
            groups.append([one])
        else:
            others.append(one)
    return groups


def _fits(one: Planned, others: Sequence[Planned]) -> bool:
    if expected_mbps(*one) + sum(expected_mbps(*other) for other in others) > CONCURRENT_MBPS:
        return False
    near = [other for other in others if {one[0].name, one[1].name} & {other[0].name, other[1].name}]
    return not near or not any(_fills(check) for check in (one, *near))


def _fills(planned: Planned) -> bool:
    sender, receiver, flows = planned
    return expected_mbps(sender, receiver, flows) >= min(sender.nic_mbps, receiver.nic_mbps)


def link_problem(check: LinkCheck) -> str | None:
    """The error message for a link that does not carry what it should; None if it does."""
    if check.passed:
        return None
    return (
        f"the link {check.sender} -> {check.receiver} carried {check.measured_mbps:.1f} Mbit/s over"
        f" {check.flows} connections instead of {check.expected_mbps:.1f}; stop other programs on this"
        " machine, or raise cluster.scale if its CPUs cannot carry that rate"
    )


def listen(ip: str) -> socket.socket:
    """Where a host receives: the port of Ray's object manager, which is not up yet or gone again, so that the
    check's connections get the same classes as Ray's.

    A raylet that was killed is a zombie before the last of its threads has let go of the port: OSError only
    if it is still taken after ``RELEASE_S``.
    """
    deadline = time.monotonic() + RELEASE_S
    while True:
        try:
            return socket.create_server((ip, OBJECT_MANAGER_PORT), backlog=MOST_FLOWS)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def send(peer_ip: str, flows: int) -> None:
    """Send over ``flows`` connections at a time until the receiver has measured, and closes the first."""
    data = memoryview(bytes(1 << 18))
    ends_s = time.monotonic() + LONGEST_S
    with selectors.DefaultSelector() as ready:
        connections = [
            socket.create_connection((peer_ip, OBJECT_MANAGER_PORT), timeout=5) for _ in range(flows)
        ]
        try:
            for connection in connections:
                connection.setblocking(False)
                ready.register(connection, selectors.EVENT_WRITE)
            while (left_s := ends_s - time.monotonic()) > 0:
                for key, _ in ready.select(left_s):
                    assert isinstance(key.fileobj, socket.socket)
                    key.fileobj.send(data)
        except (ConnectionResetError, BrokenPipeError):
            return
        finally:
            for connection in connections:
                # What still waits in the queues is thrown away: the next check shall not meet it.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.close()


def receive(server: socket.socket, flows: int, measure_s: float = MEASURE_S) -> tuple[float, str]:
    """Accept ``flows`` connections; 10^6 bits of frames per second that arrive once they have settled, and
    the connections' congestion control."""
    server.settimeout(5)
    connections = []
    try:
        for _ in range(flows):
            connections.append(server.accept()[0])
        name = connections[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        return _count(connections, measure_s), name.rstrip(b"\0").decode()
    finally:
        for connection in connections:
            connection.close()


def _count(connections: Sequence[socket.socket], measure_s: float) -> float:
    buffer = bytearray(1 << 18)
    from_s = time.monotonic() + SETTLE_S
    received, began_s, now_s = 0, None, 0.0
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_READ)
        while True:
            events = ready.select(1.0)
            now_s = time.monotonic()
            if began_s is not None and now_s >= began_s + measure_s:
                break
            for key, _ in events:
                assert isinstance(key.fileobj, socket.socket)
                received += key.fileobj.recv_into(buffer)
            if began_s is None and now_s >= from_s:
                received, began_s = 0, now_s
            if not events:
                break
    if began_s is None:
        return 0.0
    return received * 8 / 1e6 * WIRE_PER_PAYLOAD / (now_s - began_s)
