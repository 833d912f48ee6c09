"""Finds the units in a stream that change how a decoder reads what follows: parameter sets, SEI, headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from vbench.video.codecs.av1_obu import configured_sequence_header, sequence_headers
from vbench.video.codecs.bits import Bits, escaped, unescaped
from vbench.video.codecs.film_grain import has_lasting_grain
from vbench.video.codecs.nal_types import (
    H264_PICTURES,
    H264_PPS,
    H264_SEI,
    H264_SPS,
    HEVC_END,
    HEVC_PICTURES,
    HEVC_PPS,
    HEVC_PREFIX_SEI,
    HEVC_SPS,
    HEVC_VPS,
    SEI_DISPLAY_ORIENTATION,
    SEI_FILM_GRAIN,
    SEI_USER_DATA,
)
from vbench.video.codecs.packet_reader import PacketReader, sei_messages
from vbench.video.codecs.picture_format import skip_profile_tier_level

_STATE_TYPES = {
    "h264": (H264_SEI, H264_SPS, H264_PPS),
    "hevc": (HEVC_VPS, HEVC_SPS, HEVC_PPS, *HEVC_END, HEVC_PREFIX_SEI),
}
_PICTURES = {"h264": H264_PICTURES, "hevc": HEVC_PICTURES}

_NO_GRAIN = b"\xc0"
"""A film grain message that ends all earlier ones: ``film_grain_characteristics_cancel_flag``, alignment."""
_X264 = b"x264 - core "
"""FFmpeg decodes streams of old x264 builds the way those builds meant; only the first packet names the
build."""

_ID_COUNTS = {
    "h264": {"SPS": 32, "PPS": 256},
    "hevc": {"VPS": 16, "SPS": 16, "PPS": 64},
}
"""Number of parameter set ids of each kind; decoders ignore sets with a higher id."""

_CACHED_SET_BYTES = 1024
"""Parameter sets up to this length are parsed once, however often the stream repeats them."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUnit:
    """A part of a stream that changes how a decoder reads what follows."""

    key: Key
    """Kind and id: a later unit with the same key replaces it."""
    parent: Key | None = None
    """Key of the unit that this one is parsed with when it arrives, e.g. a PPS's SPS."""
    data: bytes
    """The NAL unit with its header, or the OBU's payload."""
    lasting: bool = True
    """Whether a decoder that starts later needs it; an end of sequence only concerns earlier pictures."""
    framed: bool = True
    """Whether ``data`` is written into chunks."""


def state_units(reader: PacketReader, packet: bytes) -> Iterator[StateUnit]:
    """The units in a packet that a decoder remembers; VP8 and VP9 have none besides their pictures."""
    if reader.codec == "av1":
        for payload in sequence_headers(packet):
            yield StateUnit(key=("sequence header", 0), data=payload)
    elif reader.codec in _STATE_TYPES:
        for kind, unit in reader.units_of_types(packet, _STATE_TYPES[reader.codec]):
            # What follows the last one bit is padding, or belongs to the next start code.
            yield from _nal_state(reader.codec, kind, unit.rstrip(b"\0"))


def extradata_units(reader: PacketReader, extradata: bytes | None) -> Iterator[StateUnit]:
    """The units in a stream's extradata: ``avcC``, ``hvcC`` (ISO/IEC 14496-15), ``av1C``, annex B or none."""
    if not extradata:
        return
    if reader.codec == "av1":
        payload = configured_sequence_header(extradata)
        if payload is not None:
            yield StateUnit(key=("sequence header", 0), data=payload)
    elif not reader.length_bytes:
        yield from state_units(reader, extradata)
    else:
        for unit in configured_units(reader.codec, extradata):
            if unit and (kind := reader.type_of(unit)) in _STATE_TYPES[reader.codec]:
                yield from _nal_state(reader.codec, kind, unit.rstrip(b"\0"))


def framed_parameter_sets(reader: PacketReader, extradata: bytes) -> bytes:
    """The units in a stream's extradata as they would stand in one of its packets.

    Empty for AV1, VP8 and VP9, whose decoders do not read later extradata.
    """
    if reader.codec not in _STATE_TYPES:
        return b""
    return b"".join(reader.framed(unit.data) for unit in extradata_units(reader, extradata) if unit.framed)


def units_ahead_of_picture(reader: PacketReader, packet: bytes, count: int) -> int:
    """How many of a packet's ``count`` state units precede its first slice."""
    if reader.codec == "av1":
        return count
    pictures, kinds = _PICTURES[reader.codec], _STATE_TYPES[reader.codec]
    seen_picture = False
    for kind in reader.types(packet):
        seen_picture = seen_picture or kind in pictures
        if seen_picture and kind in kinds:
            return len(list(state_units(reader, packet[: reader.picture_start(packet, pictures)])))
    return count


def configured_units(codec: str, extradata: bytes) -> Iterator[bytes]:
    """The NAL units in an ``avcC`` or ``hvcC`` box (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1), in order."""
    if codec == "h264":
        at = 5
        for mask in (31, 255):  # numOfSequenceParameterSets, numOfPictureParameterSets
            count = extradata[at] & mask if at < len(extradata) else 0
            at += 1
            for _ in range(count):
                size = int.from_bytes(extradata[at : at + 2], "big")
                yield extradata[at + 2 : at + 2 + size]
                at += 2 + size
        return
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size


def _nal_state(codec: str, kind: int, unit: bytes) -> Iterator[StateUnit]:
    header = 1 if codec == "h264" else 2
    if kind in HEVC_END and codec == "hevc":
        yield StateUnit(key=("end", kind), data=unit, lasting=False)
    elif kind in (H264_SEI, HEVC_PREFIX_SEI):
        yield from _sei_state(unit, header)
    else:
        try:
            # Streams repeat their sets; caching a long one is not worth its memory.
            parse = _cached_parameter_set if len(unit) <= _CACHED_SET_BYTES else _parameter_set
            parsed = parse(codec, kind, unit, header)
        except EOFError:
            return  # too short to have an id: no decoder reads it
        if all(
            number < _ID_COUNTS[codec][name] for name, number in filter(None, (parsed.key, parsed.parent))
        ):
            yield parsed


def _sei_state(unit: bytes, header: int) -> Iterator[StateUnit]:
    for kind, payload in sei_messages(unit[header:]):
        if kind == SEI_DISPLAY_ORIENTATION:
            # Concerns no pixel of a chunk: the video's facts say how to rotate its pictures.
            yield StateUnit(key=("orientation", 0), data=payload, framed=False)
        elif kind == SEI_FILM_GRAIN and header == 2:  # H.264 decoders drop it after the picture
            lasting = payload if has_lasting_grain(payload) else _NO_GRAIN
            yield StateUnit(key=("SEI", kind), data=_sei_unit(unit[:header], kind, lasting))
        elif kind == SEI_USER_DATA and payload[16 : 16 + len(_X264)] == _X264:
            yield StateUnit(key=("SEI", kind), data=_sei_unit(unit[:header], kind, payload))


def _sei_unit(header: bytes, kind: int, payload: bytes) -> bytes:
    """An SEI NAL unit of one message: others in the same unit may concern one picture only."""
    size = b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255])
    return header + escaped(bytes([kind]) + size + payload + b"\x80")


def _parameter_set(codec: str, kind: int, unit: bytes, header: int) -> StateUnit:
    bits = Bits(unescaped(unit[header:]))
    if codec == "h264":
        if kind == H264_SPS:
            bits.take(24)  # profile_idc, constraint flags, level_idc
            return StateUnit(key=("SPS", bits.unsigned()), data=unit)
        return StateUnit(key=("PPS", bits.unsigned()), parent=("SPS", bits.unsigned()), data=unit)
    if kind == HEVC_VPS:
        return StateUnit(key=("VPS", bits.take(4)), data=unit)
    if kind == HEVC_SPS:
        vps = bits.take(4)
        layers = bits.take(3) + 1
        skip_profile_tier_level(bits, layers)
        return StateUnit(key=("SPS", bits.unsigned()), parent=("VPS", vps), data=unit)
    return StateUnit(key=("PPS", bits.unsigned()), parent=("SPS", bits.unsigned()), data=unit)


_cached_parameter_set = lru_cache(maxsize=512)(_parameter_set)
