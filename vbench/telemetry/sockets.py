"""What ``/proc/PID/net`` says of the network namespace that a process is in: NIC counters, TCP sockets."""

import ipaddress
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ESTABLISHED = "01"
"""Of the states in linux/net/tcp_states.h."""

Address = tuple[str, int]
"""IP address and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicBytes:
    """Bytes since the interfaces were made."""

    sent: int
    received: int
    loopback: int
    """Sent over loopback, which is received there too."""


def nic_bytes(pid: int) -> NicBytes:
    """Counters of the interfaces in the process's network namespace; OSError where the process is gone.

    Headers of all layers down to Ethernet's are in them.
    """
    sent = received = loopback = 0
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if name.strip() == "lo":
            loopback = int(fields[8])
        else:
            received += int(fields[0])
            sent += int(fields[8])
    return NicBytes(sent=sent, received=received, loopback=loopback)


def established(pid: int) -> Counter[Address]:
    """Remote address -> established TCP connections to it, in the process's network namespace.

    Whose they are is not asked: to a raylet's object manager nobody but raylets connect. IPv4 within IPv6,
    as gRPC dials, counts as the IPv4 that it is. OSError where the process is gone.
    """
    peers: Counter[Address] = Counter()
    for name in ("tcp", "tcp6"):
        try:
            text = Path(f"/proc/{pid}/net/{name}").read_text()
        except FileNotFoundError:
            # A kernel without IPv6; the process being gone shows in the other file.
            if name == "tcp6" and Path(f"/proc/{pid}").exists():
                continue
            raise
        for line in text.splitlines()[1:]:
            fields = line.split()
            if fields[3] == ESTABLISHED:
                peers[_address(fields[2])] += 1
    return peers


def _address(text: str) -> Address:
    """``0100007F:1F90`` is 127.0.0.1:8000: groups of four bytes, each in the machine's order."""
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8)]
    ip = ipaddress.ip_address(b"".join(words))
    plain = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else ip
    return str(plain), int(port, 16)


def namespace(pid: int) -> int | None:
    """The inode of a process's network namespace; None where it is gone or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None
