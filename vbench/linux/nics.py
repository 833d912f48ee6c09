"""Counters of the NICs in a process's network namespace, from ``/proc/PID/net``."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NicBytes:
    """Bytes since the interfaces were made."""

    sent: int
    received: int


def nic_bytes(pid: int) -> NicBytes:
    """Counters of the interfaces in the process's network namespace; OSError if the process is gone.

    Headers of all layers down to Ethernet's are in them, as often as the kernel sees them: a virtual link
    takes up to 64 KiB with one set of headers, where a real one sends them with each packet of 1.5 kB. So
    what a shaped link receives, cut to packets by its shaper, can count up to 5% more than what was sent.
    """
    sent = received = 0
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if name.strip() != "lo":
            received += int(fields[0])
            sent += int(fields[8])
    return NicBytes(sent=sent, received=received)


def namespace(pid: int) -> int | None:
    """The inode of a process's network namespace; None if it has ended or may not be read."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None
