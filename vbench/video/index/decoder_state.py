"""Tracks the state that a decoder carries from packet to packet, so that a chunk can begin with it.

A decoder that reads a file from its beginning knows the parameter sets of all packets before the current one.
Later keyframes need not repeat them. A chunk begins in mid-stream and leaves packets out, so it gets what
those packets would have told the decoder.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vbench.video.codecs.av1_obu import configured_sequence_header, sequence_header_obu, sequence_headers
from vbench.video.codecs.bits import Bits, escaped, unescaped
from vbench.video.codecs.bitstream import H264_PICTURES, HEVC_PICTURES, PacketReader, sei_messages
from vbench.video.codecs.film_grain import has_lasting_grain
from vbench.video.codecs.picture_format import skip_profile_tier_level

H264_SPS, H264_PPS = 7, 8
_H264_STATE = (6, H264_SPS, H264_PPS)
"""SEI and parameter sets, ITU-T H.264 table 7-1."""
HEVC_VPS, HEVC_SPS, HEVC_PPS = 32, 33, 34
_HEVC_END = (36, 37)
"""End of sequence, end of bitstream: the next picture begins anew."""
_HEVC_STATE = (HEVC_VPS, HEVC_SPS, HEVC_PPS, *_HEVC_END, 39)
"""Parameter sets, ends and prefix SEI, ITU-T H.265 table 7-1."""
_SEI_USER_DATA, _SEI_FILM_GRAIN, _SEI_ORIENTATION = 5, 19, 47
_NO_GRAIN = b"\xc0"
"""A film grain message that ends all before: ``film_grain_characteristics_cancel_flag``, and alignment."""
_X264 = b"x264 - core "
"""FFmpeg decodes streams of old x264 builds as they were meant; only the first packet names the build."""

_MOST_IDS = {
    "h264": {"SPS": 32, "PPS": 256},
    "hevc": {"VPS": 16, "SPS": 16, "PPS": 64},
}
"""How many parameter sets of each kind there can be; decoders read none of a higher id."""

_USUAL_SET_BYTES = 1024
"""Parameter sets of this length are read once, however often they are repeated."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUnit:
    """A part of a stream that changes how a decoder reads what follows."""

    key: Key
    """Kind and id: a later unit of the same key takes its place."""
    parent: Key | None = None
    """The unit that this one is read with when it arrives, e.g. a PPS's SPS."""
    data: bytes
    """The NAL unit with its header, or the OBU's payload."""
    lasting: bool = True
    """Whether a decoder that starts later needs it; an end of sequence only concerns earlier pictures."""
    framed: bool = True
    """Whether ``data`` is written into chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """A unit, when it arrived, and what it was read with."""

    number: int
    """Of the units that changed something, in order."""
    unit: StateUnit
    parent: "_Arrival | None"
    """What was in force under the key ``unit.parent`` when the unit arrived."""


class StateLog:
    """The units in force, in the order in which they arrived.

    Decoders read a PPS with the SPS that is in force when the PPS arrives, so a unit whose place was taken
    stays as long as one in force was read with it. They leave out a PPS that arrives before its SPS.
    """

    def __init__(self, units: Iterable[StateUnit] = ()) -> None:
        self._latest: dict[Key, _Arrival] = {}
        self._arrived = 0
        for unit in units:
            self.put(unit)

    @property
    def units(self) -> list[StateUnit]:
        """What a decoder that starts now has to be told, in order."""
        needed: dict[int, StateUnit] = {}
        for arrival in self._latest.values():
            read_with: _Arrival | None = arrival
            while read_with is not None and read_with.number not in needed:
                needed[read_with.number] = read_with.unit
                read_with = read_with.parent
        return [needed[number] for number in sorted(needed)]

    def put(self, unit: StateUnit) -> bool:
        """Note a unit; whether it changed anything."""
        if not unit.lasting:
            return True
        parent = None if unit.parent is None else self._latest.get(unit.parent)
        if parent is None and unit.key[0] == "PPS":
            return False
        last = self._latest.get(unit.key)
        if last is not None and last.unit.data == unit.data and last.parent is parent:
            return False
        self._latest[unit.key] = _Arrival(number=self._arrived, unit=unit, parent=parent)
        self._arrived += 1
        return True


@dataclass(slots=True, kw_only=True)
class StateChanges:
    """What changes in a stream after its extradata, packet by packet; complete after the last packet."""

    reader: PacketReader
    initial: tuple[StateUnit, ...]
    """What the extradata says; every chunk has the same extradata."""
    places: list[int] = field(default_factory=list)
    """Rising: the packets, by their place in decoding order, that change something."""
    units: list[tuple[StateUnit, ...]] = field(default_factory=list)
    """What each of these changes, in the packet's order."""
    outside: dict[int, tuple[StateUnit, ...]] = field(default_factory=dict)
    """By packet, what of it is not in the packet's own data but in the container, ahead of the packet."""

    def prefixes(self, chunks: Sequence[npt.NDArray[np.int64]]) -> list[dict[int, bytes]]:
        """For each chunk what to put before the data of which packet.

        Args:
            chunks: the packets of each, rising, by their place in decoding order.

        Returns:
            Bytes by the packet's place: before the first packet all that is in force and not in the
            extradata, before each later one what changed in the packets that were left out before it.
        """
        out: list[dict[int, bytes]] = [{} for _ in chunks]
        if not self.places:
            return out
        log, read = StateLog(self.initial), 0
        starts = sorted((int(places[0]), number) for number, places in enumerate(chunks) if len(places))
        for start, number in starts:
            while read < len(self.places) and self.places[read] < start:
                for unit in self.units[read]:
                    log.put(unit)
                read += 1
            prefix = self._framed([*self._beyond_extradata(log), *self.outside.get(start, ())])
            out[number] = ({start: prefix} if prefix else {}) | self._between(chunks[number])
        return out

    def ends(self) -> npt.NDArray[np.int64]:
        """int64[K], rising: packets with an end of sequence or of bitstream (HEVC)."""
        ends = [
            place
            for place, units in zip(self.places, self.units, strict=True)
            if any(not unit.lasting for unit in units)
        ]
        return np.array(ends, np.int64)

    def _beyond_extradata(self, log: StateLog) -> list[StateUnit]:
        units, count = log.units, len(self.initial)
        return units[count:] if tuple(units[:count]) == self.initial else units

    def _between(self, places: npt.NDArray[np.int64]) -> dict[int, bytes]:
        """What changes in packets that are left out, by the next one that is not, or outside of packets."""
        first = np.searchsorted(self.places, places[0], "right")
        last = np.searchsorted(self.places, places[-1], "right")
        left_out: dict[int, list[StateUnit]] = {}
        for at in range(int(first), int(last)):
            following = int(places[np.searchsorted(places, self.places[at])])
            arrived = self.units[at] if following != self.places[at] else self.outside.get(following, ())
            left_out.setdefault(following, []).extend(arrived)
        framed = {place: self._framed(units) for place, units in left_out.items()}
        return {place: data for place, data in framed.items() if data}

    def _framed(self, units: Iterable[StateUnit]) -> bytes:
        frame = sequence_header_obu if self.reader.codec == "av1" else self.reader.framed
        return b"".join(frame(unit.data) for unit in units if unit.framed)


class StateScan:
    """Notes each packet of a stream, in decoding order."""

    def __init__(self, reader: PacketReader, extradata: bytes | None) -> None:
        self._reader = reader
        initial = StateLog(_extradata_units(reader, extradata)).units
        self._log = StateLog(initial)
        self.changes = StateChanges(reader=reader, initial=tuple(initial))
        self._place = 0
        self._ended = False
        self.after_end = False
        """Whether the last packet's picture is the first after an end of sequence (HEVC)."""
        self.behind_picture: tuple[StateUnit, ...] = ()
        """The last packet's changes that stand behind its first slice: they concern later pictures."""

    def add(self, packet: bytes, ahead: bytes = b"") -> tuple[StateUnit, ...]:
        """Note one packet; the units in it that change the state of a decoder.

        Args:
            packet: its data.
            ahead: NAL units that the container gives a decoder ahead of it.
        """
        given = list(state_units(self._reader, ahead)) if ahead else []
        units = given + list(state_units(self._reader, packet))
        has_effect = [self._log.put(unit) for unit in units]
        changed = tuple(unit for unit, effect in zip(units, has_effect, strict=True) if effect)
        self.behind_picture = ()
        if changed:
            self.changes.places.append(self._place)
            self.changes.units.append(changed)
            count = _units_ahead_of_picture(self._reader, packet, len(units) - len(given))
            self.behind_picture = changed[sum(has_effect[: len(given) + count]) :]
            if any(has_effect[: len(given)]):
                self.changes.outside[self._place] = changed[: sum(has_effect[: len(given)])]
        self._place += 1
        if self._reader.codec == "hevc":
            self._note_end(packet, changed)
        return changed

    def _note_end(self, packet: bytes, changed: tuple[StateUnit, ...]) -> None:
        self.after_end = False
        if self._ended or any(not unit.lasting for unit in changed):
            for kind in self._reader.types(packet):
                if kind in _HEVC_END:
                    self._ended = True
                elif kind < HEVC_VPS:
                    self.after_end, self._ended = self.after_end or self._ended, False


def _units_ahead_of_picture(reader: PacketReader, packet: bytes, count: int) -> int:
    """How many of a packet's ``count`` units that a decoder remembers stand before its first slice."""
    if reader.codec == "av1":
        return count
    pictures, kinds = (H264_PICTURES, _H264_STATE) if reader.codec == "h264" else (HEVC_PICTURES, _HEVC_STATE)
    seen_picture = False
    for kind in reader.types(packet):
        seen_picture = seen_picture or kind in pictures
        if seen_picture and kind in kinds:
            return len(list(state_units(reader, packet[: reader.picture_start(packet, pictures)])))
    return count


def state_units(reader: PacketReader, packet: bytes) -> Iterator[StateUnit]:
    """The units in a packet that a decoder remembers; VP8 and VP9 have none beside their pictures."""
    if reader.codec == "av1":
        for payload in sequence_headers(packet):
            yield StateUnit(key=("sequence header", 0), data=payload)
        return
    kinds = {"h264": _H264_STATE, "hevc": _HEVC_STATE}.get(reader.codec, ())
    if kinds:
        for kind, unit in reader.units_of_types(packet, kinds):
            # What follows the last one bit is padding, or belongs to the next start code.
            yield from _nal_state(reader.codec, kind, unit.rstrip(b"\0"))


def _nal_state(codec: str, kind: int, unit: bytes) -> Iterator[StateUnit]:
    header = 1 if codec == "h264" else 2
    if kind in _HEVC_END and codec == "hevc":
        yield StateUnit(key=("end", kind), data=unit, lasting=False)
    elif kind in (6, 39):
        yield from _sei_state(unit, header)
    else:
        try:
            # Streams repeat their sets; a long one is not worth its memory.
            read = _read_again if len(unit) <= _USUAL_SET_BYTES else _parameter_set
            made = read(codec, kind, unit, header)
        except EOFError:
            return  # too short to have an id: no decoder reads it
        if all(number < _MOST_IDS[codec][name] for name, number in filter(None, (made.key, made.parent))):
            yield made


def _sei_state(unit: bytes, header: int) -> Iterator[StateUnit]:
    for kind, payload in sei_messages(unit[header:]):
        if kind == _SEI_ORIENTATION:
            # Concerns no pixel of a chunk: the video's facts say how to turn its pictures.
            yield StateUnit(key=("orientation", 0), data=payload, framed=False)
        elif kind == _SEI_FILM_GRAIN and header == 2:  # H.264 decoders forget it after the picture
            lasting = payload if has_lasting_grain(payload) else _NO_GRAIN
            yield StateUnit(key=("SEI", kind), data=_sei_unit(unit[:header], kind, lasting))
        elif kind == _SEI_USER_DATA and payload[16 : 16 + len(_X264)] == _X264:
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


_read_again = lru_cache(maxsize=512)(_parameter_set)


def framed_sets(reader: PacketReader, extradata: bytes) -> bytes:
    """The units in a stream's extradata as they would stand in one of its packets; decoders of AV1 and VP9
    read later extradata not at all."""
    if reader.codec not in ("h264", "hevc"):
        return b""
    return b"".join(reader.framed(unit.data) for unit in _extradata_units(reader, extradata) if unit.framed)


def _extradata_units(reader: PacketReader, extradata: bytes | None) -> Iterator[StateUnit]:
    """What a stream's extradata says: ``avcC``, ``hvcC`` (ISO/IEC 14496-15), ``av1C``, annex B or none."""
    if not extradata:
        return
    if reader.codec == "av1":
        payload = configured_sequence_header(extradata)
        if payload is not None:
            yield StateUnit(key=("sequence header", 0), data=payload)
        return
    if not reader.length_bytes:
        yield from state_units(reader, extradata)
        return
    for unit in configured_units(reader.codec, extradata):
        if unit:
            kind = unit[0] & 31 if reader.codec == "h264" else unit[0] >> 1 & 63
            if kind in (_H264_STATE if reader.codec == "h264" else _HEVC_STATE):
                yield from _nal_state(reader.codec, kind, unit.rstrip(b"\0"))


def configured_units(codec: str, extradata: bytes) -> Iterator[bytes]:
    """The NAL units in an ``avcC`` or ``hvcC`` box, in order."""
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
