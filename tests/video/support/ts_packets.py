"""Edits packets of an MPEG transport stream: clock references alone, repeated tables, counters."""

from collections.abc import Sequence
from pathlib import Path

TS_PACKET = 188
VIDEO_PID = 256
"""What FFmpeg's muxer gives the first stream."""
NULL_PACKET = bytes([0x47, 0x1F, 0xFF, 0x10]) + b"\xff" * 184
_PAYLOAD = 0x10


def packets_of(path: Path) -> list[bytes]:
    """The packets of a file, of 188 bytes each."""
    content = path.read_bytes()
    return [content[at : at + TS_PACKET] for at in range(0, len(content), TS_PACKET)]


def pid(packet: bytes) -> int:
    """The stream that a packet belongs to."""
    return (packet[1] & 31) << 8 | packet[2]


def first_of_video(packets: Sequence[bytes]) -> int:
    """The place of the first packet of video, which has a clock reference and a payload."""
    return next(at for at, packet in enumerate(packets) if pid(packet) == VIDEO_PID)


def clock_reference(like: bytes, counter: int, *, announced: bool = False) -> bytes:
    """A packet of video that has only the clock reference of ``like``, and no payload.

    Args:
        like: a packet with a clock reference.
        counter: its continuity counter.
        announced: whether it announces that counters do not continue (``discontinuity_indicator``).
    """
    flags = 0x10 | (0x80 if announced else 0)
    return bytes([0x47, like[1] & 31, like[2], 0x20 | counter, 183, flags]) + like[6:12] + b"\xff" * 176


def with_clock_reference(packets: Sequence[bytes], counter: int, *, announced: bool = False) -> list[bytes]:
    """A segment whose first packet of video is a clock reference alone."""
    at = first_of_video(packets)
    return [*packets[:at], clock_reference(packets[at], counter, announced=announced), *packets[at:]]


def counted_from(packets: Sequence[bytes], counter: int) -> list[bytes]:
    """A segment whose video counts from ``counter`` on, whatever it counted from before."""
    ahead = counter - packets[first_of_video(packets)][3]
    return [
        packet[:3] + bytes([packet[3] & 0xF0 | (packet[3] + ahead) & 15]) + packet[4:]
        if pid(packet) == VIDEO_PID
        else packet
        for packet in packets
    ]


def last_counter(packets: Sequence[bytes]) -> int:
    """The continuity counter of the last packet of video that has a payload."""
    return next(p[3] & 15 for p in reversed(packets) if pid(p) == VIDEO_PID and p[3] & _PAYLOAD)


def joined(path: Path, segments: Sequence[Sequence[bytes]]) -> Path:
    """Write ``path``: the segments' packets, one behind the other."""
    path.write_bytes(b"".join(packet for segment in segments for packet in segment))
    return path
