"""The switch and the links: a bridge, and per host an HTB tree with a class for each TCP flow.

On a host's ``eth0`` all leave under one class with the NIC's rate; below it each TCP connection has a class
of its own with the flow's rate as ceiling (as EC2 caps single flows). nftables gives a connection its class
when its first packet leaves: the connection's mark is the number of the class, and every packet's priority
is that mark, which HTB follows. On the switch's side of each link one class holds what the host receives to
the NIC's rate. HTB: Devera 2002, "Hierarchical token bucket theory"; tc-htb(8), nft(8).
"""

import socket
import struct
from typing import Any

from pyroute2 import IPBatch, IPRoute
from pyroute2.netlink.nfnetlink.nftsocket import Cmp, Meta, Regs
from pyroute2.nftables.expressions import genex
from pyroute2.nftables.main import NFTables

from vbench.clusters.emulated.topology import (
    DATA_CLASSES,
    OBJECT_MANAGER_PORT,
    OTHER_CLASSES,
    SUBNET,
    Host,
)
from vbench.linux.netlink import HEADER, send_all

BRIDGE = "switch"
SCOPE_LINK = 253
"""From linux/rtnetlink.h: what is reached without a gateway."""
NIC = "eth0"

ROOT = 0x10000
WHOLE = 0x10001
"""The class of all that a link carries."""
UNKNOWN = 0x10002
"""For what has no connection: address resolution."""
FIRST_OTHER = 0x10100
FIRST_DATA = 0x11000

LEAST_KBIT = 64
"""What a flow's class may always send: the sum over all classes must stay small beside the NIC's rate."""

SEGMENT_BYTES = 65536
"""The largest packet that the kernel hands to a queue (generic segmentation offload)."""

BURST_S = 0.002
"""Time at full rate that a class may send at once; at least one segment."""

HANDLE, HANDLE_AT = struct.Struct("=I"), HEADER.size + 8
"""A class's handle in a request: behind the header, the address family and the interface (struct tcmsg)."""

QUEUE_S = 0.05
"""Depth of the switch's queue towards a host, in time at the NIC's rate; what comes above is dropped."""

SHORTEST_QUEUE_BYTES = 8 * SEGMENT_BYTES


def port_name(index: int) -> str:
    """The switch's side of the link of host ``index``."""
    return f"port{index}"


def make_switch() -> None:
    """A bridge in this network namespace; it must stay the only one that forwards."""
    with IPRoute() as ip:
        ip.link("add", ifname=BRIDGE, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
        ip.link("set", index=_index(ip, BRIDGE), state="up")
        ip.link("set", index=_index(ip, "lo"), state="up")


def plug_in(index: int, host: Host, pid: int) -> None:
    """A link between this namespace's switch and that of process ``pid``; what it receives is shaped here."""
    name = port_name(index)
    with IPRoute() as ip:
        ip.link("add", ifname=name, kind="veth", peer={"ifname": NIC, "net_ns_pid": pid})
        port = _index(ip, name)
        ip.link("set", index=port, master=_index(ip, BRIDGE), state="up")
        _switch_queue(ip, "add", port, host.nic_mbps)


def change_port(index: int, nic_mbps: float) -> None:
    """Give the switch's side of a link another rate, as it runs."""
    with IPRoute() as ip:
        _switch_queue(ip, "change", _index(ip, port_name(index)), nic_mbps)


def _switch_queue(ip: Any, command: str, port: int, nic_mbps: float) -> None:
    ip.tc(
        command,
        "tbf",
        port,
        ROOT,
        rate=f"{round(nic_mbps * 1000)}kbit",
        burst=_burst(nic_mbps),
        limit=max(SHORTEST_QUEUE_BYTES, int(nic_mbps * 1e6 / 8 * QUEUE_S)),
    )


def configure_host(host: Host, congestion_control: str, data_classes: int = DATA_CLASSES) -> None:
    """In the host's own namespace: address, the classes of its flows, and which flow gets which.

    TCP's congestion control is the route's: a network namespace's own default can only be one that the
    machine's administrator allows to everybody.
    """
    with IPRoute() as ip:
        ip.link("set", index=_index(ip, "lo"), state="up")
        nic = _index(ip, NIC)
        ip.addr("add", index=nic, address=host.ip, prefixlen=32)
        ip.link("set", index=nic, state="up")
        metrics = {"cc_algo": congestion_control}
        ip.route("add", dst=SUBNET, oif=nic, scope=SCOPE_LINK, prefsrc=host.ip, metrics=metrics)
        _tree(ip, nic, host.nic_mbps)
    _flow_classes("add-class", nic, host.flow_mbps, data_classes)
    _assign_classes(nic, data_classes)


def change_host(before: Host, after: Host, data_classes: int = DATA_CLASSES) -> None:
    """In the host's own namespace: give its NIC and its flows other rates, as they run."""
    with IPRoute() as ip:
        nic = _index(ip, NIC)
        if after.nic_mbps != before.nic_mbps:
            for handle, parent, rate in ((WHOLE, ROOT, after.nic_mbps), (UNKNOWN, WHOLE, LEAST_KBIT / 1000)):
                _class(ip, nic, handle, parent, rate, after.nic_mbps, command="change-class")
    if after.flow_mbps != before.flow_mbps:
        _flow_classes("change-class", nic, after.flow_mbps, data_classes)


def _flow_classes(command: str, nic: int, flow_mbps: float, data_classes: int) -> None:
    """Add or change the classes of all flows, which differ in their handle alone: to encode each one would
    take a second."""
    batch = IPBatch()
    _class(batch, nic, FIRST_DATA, WHOLE, LEAST_KBIT / 1000, flow_mbps, command=command)
    request = bytearray(batch.batch)
    requests = []
    for first, count in ((FIRST_DATA, data_classes), (FIRST_OTHER, OTHER_CLASSES)):
        for handle in range(first, first + count):
            HANDLE.pack_into(request, HANDLE_AT, handle)
            requests.append(bytes(request))
    send_all(requests, socket.NETLINK_ROUTE)


def _tree(ip: Any, interface: int, nic_mbps: float) -> None:
    """The root, one class for all, one below it for what has none."""
    ip.tc("add", "htb", interface, ROOT, default=UNKNOWN & 0xFFFF)
    _class(ip, interface, WHOLE, ROOT, nic_mbps, nic_mbps)
    _class(ip, interface, UNKNOWN, WHOLE, LEAST_KBIT / 1000, nic_mbps)


def _class(
    ip: Any,
    interface: int,
    handle: int,
    parent: int,
    rate_mbps: float,
    ceil_mbps: float,
    *,
    command: str = "add-class",
) -> None:
    ip.tc(
        command,
        "htb",
        interface,
        handle,
        parent=parent,
        rate=f"{round(rate_mbps * 1000)}kbit",
        ceil=f"{round(ceil_mbps * 1000)}kbit",
        burst=_burst(rate_mbps),
        cburst=_burst(ceil_mbps),
        quantum=SEGMENT_BYTES,
    )


def _burst(mbps: float) -> int:
    return max(SEGMENT_BYTES, int(mbps * 1e6 / 8 * BURST_S))


def _assign_classes(nic: int, data_classes: int) -> None:
    """The rules of nftables: a new connection takes the next class of its kind, in turn."""
    out = [
        genex("meta", {"key": Meta.NFT_META_OIF, "dreg": Regs.NFT_REG_1}),
        _equals(struct.pack("=I", nic)),
    ]
    new = [genex("ct", {"key": CT_MARK, "dreg": Regs.NFT_REG_1}), _equals(struct.pack("=I", 0))]
    to_object_manager = [
        genex("meta", {"key": Meta.NFT_META_L4PROTO, "dreg": Regs.NFT_REG_1}),
        _equals(struct.pack("B", socket.IPPROTO_TCP)),
        genex("payload", {"dreg": Regs.NFT_REG_1, "base": TRANSPORT_HEADER, "offset": 2, "len": 2}),
        _equals(struct.pack("!H", OBJECT_MANAGER_PORT)),
    ]
    follow = [
        genex("ct", {"key": CT_MARK, "dreg": Regs.NFT_REG_1}),
        genex("meta", {"key": Meta.NFT_META_PRIORITY, "sreg": Regs.NFT_REG_1}),
    ]
    with NFTables(nfgen_family=socket.AF_INET) as nft:
        nft.table("add", name="flows")
        nft.chain("add", table="flows", name="out", hook="postrouting", type="filter", policy=1)
        for expressions in (
            [*out, *new, *to_object_manager, *_next_of(FIRST_DATA, data_classes)],
            [*out, *new, *_next_of(FIRST_OTHER, OTHER_CLASSES)],
            [*out, *follow],
        ):
            nft.rule("add", table="flows", chain="out", expressions=(expressions,))


CT_MARK = 3
"""From linux/netfilter/nf_tables.h: NFT_CT_MARK."""
TRANSPORT_HEADER = 2
"""NFT_PAYLOAD_TRANSPORT_HEADER."""


def _equals(data: bytes) -> dict[str, Any]:
    value = {"attrs": [("NFTA_DATA_VALUE", data)]}
    return dict(genex("cmp", {"sreg": Regs.NFT_REG_1, "op": Cmp.NFT_CMP_EQ, "data": value}))


def _next_of(first: int, count: int) -> list[dict[str, Any]]:
    in_turn = [
        ("NFTA_NG_DREG", Regs.NFT_REG_1),
        ("NFTA_NG_MODULUS", count),
        ("NFTA_NG_TYPE", 0),
        ("NFTA_NG_OFFSET", first),
    ]
    number = {"attrs": [("NFTA_EXPR_NAME", "numgen"), ("NFTA_EXPR_DATA", {"attrs": in_turn})]}
    return [number, genex("ct", {"key": CT_MARK, "sreg": Regs.NFT_REG_1})]


def _index(ip: Any, name: str) -> int:
    (index,) = ip.link_lookup(ifname=name)
    return int(index)
