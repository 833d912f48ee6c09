"""Tells whether an IP address belongs to this machine, without sending a packet."""

import socket
from contextlib import suppress

_UNASSIGNED = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849)."""


def is_host_address(family: socket.AddressFamily, address: str) -> bool:
    """Whether packets to ``address`` stay on this machine."""
    return _is_source_to_itself(family, address) or (
        _can_bind(family, address) and not _can_bind(family, _UNASSIGNED[family])
    )


def _is_source_to_itself(family: socket.AddressFamily, address: str) -> bool:
    """Whether the kernel would send from the address to itself; connecting a UDP socket sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.connect((address, 9))
        return bool(sock.getsockname()[0] == sock.getpeername()[0])
    return False


def _can_bind(family: socket.AddressFamily, address: str) -> bool:
    """Whether a server here could listen on it. Secondary addresses are not used as sources, but can be
    bound; with ``net.ipv4.ip_nonlocal_bind`` all addresses can."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.bind((address, 0))
        return True
    return False
