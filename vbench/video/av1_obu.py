"""Reads AV1's open bitstream units (OBUs): sequence headers, and the header of a packet's first frame."""

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6
"""OBU types, AV1 bitstream specification 6.2.2."""
_KEY_FRAME = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Obu:
    """One open bitstream unit."""

    type: int
    payload: bytes


def obus(packet: bytes) -> Iterator[Obu]:
    """The OBUs of a packet in the low-overhead format (AV1 5.3); ends early if the packet is damaged."""
    at = 0
    while at < len(packet):
        header = packet[at]
        at += 1 + (header >> 2 & 1)
        size = len(packet) - at
        if header >> 1 & 1:
            size, at = _leb128(packet, at)
        if at > len(packet):
            return
        yield Obu(type=header >> 3 & 15, payload=packet[at : at + size])
        at += size


def sequence_headers(packet: bytes) -> Iterator[bytes]:
    """The payload of each sequence header OBU in a packet."""
    return (obu.payload for obu in obus(packet) if obu.type == SEQUENCE_HEADER)


def configured_sequence_header(extradata: bytes | None) -> bytes | None:
    """The sequence header in an ``av1C`` box's ``configOBUs`` (AV1-ISOBMFF 2.3.3) or in bare OBUs."""
    if not extradata:
        return None
    config = extradata[4:] if extradata[0] == 0x81 else extradata
    return next(sequence_headers(config), None)


def sequence_header_obu(payload: bytes) -> bytes:
    """A whole OBU with its size for a sequence header's payload."""
    size, left = bytearray(), len(payload)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    size.append(left)
    return bytes([SEQUENCE_HEADER << 3 | 1 << 1]) + bytes(size) + payload


def starts_with_shown_key_frame(packet: bytes) -> bool:
    """Whether a packet's first frame is a key frame that is shown: only that resets all of a decoder's state.

    A key frame that is shown later ("forward key frame") leaves the other reference frames as they are.
    """
    for obu in obus(packet):
        if obu.type in (FRAME_HEADER, FRAME) and obu.payload:
            first = obu.payload[0]  # show_existing_frame u(1), frame_type u(2), show_frame u(1): 5.9.2
            return first >> 7 == 0 and first >> 5 & 3 == _KEY_FRAME and first >> 4 & 1 == 1
    return False


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        if at >= len(data):
            return 0, len(data) + 1
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            break
    return value, at
