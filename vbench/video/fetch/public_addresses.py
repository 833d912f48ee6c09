"""Which IP addresses are public, and which others an operator lets a service read from."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; cloud metadata of Alibaba
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, from inside a virtual machine
        "169.254.0.0/16",  # link-local; cloud metadata of AWS, Azure, Google
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; cloud metadata of Oracle
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
"""IANA's IPv4 Special-Purpose Address Registry (RFC 6890), multicast, and addresses that clouds reserve."""

PUBLIC_V6 = IPv6Network("2000::/3")
"""Global unicast (RFC 4291); excludes loopback, ULA, link-local, site-local and multicast."""

NOT_PUBLIC_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)

_CARRY_V4 = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)
"""IPv6 networks whose addresses contain an IPv4 address, and how many bits follow it."""


def is_public(address: Address) -> bool:
    """Whether the address is globally reachable; one that contains an IPv4 address counts as that."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    for network, bits in _CARRY_V4:
        if address in network:
            return is_public(IPv4Address(int(address) >> bits & 0xFFFFFFFF))
    return address in PUBLIC_V6 and not any(address in network for network in NOT_PUBLIC_V6)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateSources:
    """Hosts and networks that an operator lets the service read from, public or not."""

    hosts: frozenset[str]
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """From host names, addresses and networks (``10.0.0.0/8``); ValueError for anything else."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if not entry or set(entry) & set("/:@?# ") or entry.replace(".", "").isdecimal():
                    raise ValueError(
                        f"{entry!r} is neither a host nor a network: write a host name like minio.example, "
                        "or a network like 10.0.0.0/8"
                    ) from None
                hosts.add(entry.lower().rstrip("."))
        return cls(hosts=frozenset(hosts), networks=tuple(networks))

    def include(self, host: str, address: Address) -> bool:
        """Whether ``host``, resolved to ``address``, is one of them."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return host.lower().rstrip(".") in self.hosts or any(address in network for network in self.networks)


def address_of(text: str) -> Address:
    """The address in the resolver's text, without the zone that may follow it."""
    return ip_address(text.partition("%")[0])
