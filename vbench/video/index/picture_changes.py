"""Finds the first picture of a stream that differs from the first in size, format, colour or orientation."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vbench.video.codecs.av1_frame_sizes import Av1FrameSizes
from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.nal_types import H264_PICTURES, HEVC_CRA, HEVC_IRAP, HEVC_PICTURES
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.picture_format import PictureFormat, h264_picture_format, hevc_picture_format
from vbench.video.codecs.state_units import Key, StateUnit, state_units
from vbench.video.codecs.vpx_headers import vp8_picture_format, vp9_picture_formats

_SLICE_HEAD_BYTES = 24
"""Enough for a slice header up to its picture parameter set's id."""
UPRIGHT = (0, 0, 0)

_Orientation = tuple[int, int, int]
"""Mirrored (0 or 1), upside down (0 or 1), counterclockwise rotation in 1/65536 of a full turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureChange:
    """A property of the pictures that does not stay as it was."""

    first_packet: int
    """Index, in decoding order, of the first packet that differs."""
    end_packet: int | None = None
    """Index of the next packet that differs again; None: there is none."""
    what: str
    """What the stream does, e.g. ``changes its picture size from 640 x 368 to 368 x 640``."""


class PictureChangeScan:
    """Follows the packets of a stream in decoding order; reports the first change after the last packet."""

    def __init__(self, reader: PacketReader, initial: tuple[StateUnit, ...]) -> None:
        self._reader = reader
        self._sps: dict[Key, PictureFormat | None] = {}
        """Formats that the sequence parameter sets state."""
        self._by_pps: dict[int, tuple[Key, PictureFormat | None]] = {}
        """By PPS id: the SPS that the PPS was parsed with, and the SPS's format."""
        self._shared_format: PictureFormat | None = None
        self._all_same = False
        """Whether all parameter sets that pictures may refer to state ``_shared_format``."""
        self._av1 = Av1FrameSizes()
        self._orientation: _Orientation = UPRIGHT
        self._is_oriented = False
        """Whether a message ever stated an orientation."""
        self.formats: list[tuple[int, PictureFormat]] = []
        """Formats of the pictures, each with the index of its first packet."""
        self._largest = 0, 0
        self._orientations: list[tuple[int, _Orientation]] = []
        self._dropping_packet: int | None = None
        self._add_units(initial)

    def add(self, packet_index: int, packet: bytes, units: tuple[StateUnit, ...], *, after_end: bool) -> None:
        """Add a packet that contains a picture and can be decoded.

        Args:
            packet_index: its index in decoding order.
            packet: its data.
            units: the units that arrived since the first slice of the picture before it.
            after_end: whether the picture is the first after an end of sequence.
        """
        if units:
            self._add_units(units)
        for picture in self._picture_formats(packet):
            if not self.formats or (self.formats[-1][1] is not picture and self.formats[-1][1] != picture):
                self.formats.append((packet_index, picture))
                self._largest = max(self._largest, (picture.width, picture.height), key=math.prod)
        if self._is_oriented and self._reader.codec == "h264":
            self._orientation = self._orientation_in(packet)
        if not self._orientations or self._orientations[-1][1] != self._orientation:
            self._orientations.append((packet_index, self._orientation))
        if (
            self._reader.codec == "hevc"
            and self._dropping_packet is None
            and len(self.formats)
            and packet_index > self.formats[0][0]
        ):
            self._dropping_packet = packet_index if self._drops_pictures(packet, after_end) else None

    @property
    def largest(self) -> tuple[int, int]:
        """Width and height of the largest picture so far, by its headers, whether it is presented or not."""
        return max(self._largest, self._av1.largest, key=math.prod)

    def change(self, first: PictureFormat) -> PictureChange | None:
        """The first change; ``first``: the format of the first decoded picture, for what no header states."""
        if self._dropping_packet is not None:
            return PictureChange(
                first_packet=self._dropping_packet,
                end_packet=self._dropping_packet + 1,
                what="drops pictures before they are presented, as its sequence ends,",
            )
        before: PictureFormat | None = None
        for number, (packet, stated) in enumerate(self.formats, start=1):
            now = self._effective(stated, before or first)
            what = before.change(now) if before is not None else None
            if what is not None:
                end = _packet_at(self.formats, number)
                return PictureChange(first_packet=packet, end_packet=end, what=f"changes its {what}")
            before = now
        if len(self._orientations) > 1:
            (_, old), (packet, new) = self._orientations[:2]
            return PictureChange(
                first_packet=packet,
                end_packet=_packet_at(self._orientations, 2),
                what=f"changes its orientation from {_describe(old)} to {_describe(new)}",
            )
        return None

    def _effective(self, stated: PictureFormat, before: PictureFormat) -> PictureFormat:
        """The format that a decoder reports for these pictures, given that of the pictures before.

        An H.264 header without colours leaves them as the header before, or the container, stated. A VP9
        frame that only changes its size has the format of the frames before.
        """
        if stated.chroma < 0:
            return replace(before, width=stated.width, height=stated.height)
        if self._reader.codec != "h264":
            return stated
        return replace(
            stated,
            matrix=before.matrix if stated.matrix is None else stated.matrix,
            full_range=before.full_range if stated.full_range is None else stated.full_range,
        )

    def _add_units(self, units: tuple[StateUnit, ...]) -> None:
        h264 = self._reader.codec == "h264"
        header = 1 if h264 else 2
        for unit in units:
            kind, number = unit.key
            if kind == "SPS":
                parse = h264_picture_format if h264 else hevc_picture_format
                self._sps[unit.key] = _parsed(parse, unit.data[header:])
                if not h264:
                    self._forget_pps_of(unit.key)
            elif kind == "PPS" and unit.parent is not None:
                self._by_pps[number] = unit.parent, self._sps.get(unit.parent)
            elif kind == "sequence header":
                self._av1.add_sequence_header(unit.data)
            elif kind == "orientation":
                self._orientation, self._is_oriented = _orientation(unit.data), True
        formats = {stated for _, stated in self._by_pps.values()}
        self._shared_format, self._all_same = next(iter(formats), None), len(formats) == 1

    def _forget_pps_of(self, sps: Key) -> None:
        """A new SPS of HEVC invalidates the PPS that were parsed with the one before; H.264 keeps them."""
        for number in [number for number, (key, _) in self._by_pps.items() if key == sps]:
            del self._by_pps[number]

    def _orientation_in(self, packet: bytes) -> _Orientation:
        """What an H.264 packet itself states: decoders forget it after the picture, unlike those of HEVC."""
        units = [unit for unit in state_units(self._reader, packet) if unit.key[0] == "orientation"]
        return _orientation(units[-1].data) if units else UPRIGHT

    def _picture_formats(self, packet: bytes) -> Iterator[PictureFormat]:
        if self._reader.codec == "vp8":
            stated = vp8_picture_format(packet)
        elif self._reader.codec in ("vp9", "av1"):
            vp9 = self._reader.codec == "vp9"
            yield from vp9_picture_formats(packet) if vp9 else self._av1.shown_formats(packet)
            return
        elif self._all_same:  # whichever the picture refers to
            stated = self._shared_format
        else:
            stated = self._referenced_format(packet)
        if stated is not None:
            yield stated

    def _referenced_format(self, packet: bytes) -> PictureFormat | None:
        """The format in the SPS that the packet's first slice refers to; None without one."""
        h264 = self._reader.codec == "h264"
        head = self._reader.picture_head(packet, H264_PICTURES if h264 else HEVC_PICTURES, _SLICE_HEAD_BYTES)
        if head is None:
            return None
        bits = Bits(unescaped(head[1 if h264 else 2 :]))
        try:
            if h264:
                bits.unsigned()  # first_mb_in_slice
                bits.unsigned()  # slice_type
            else:
                bits.take(2 if head[0] >> 1 & 63 in HEVC_IRAP else 1)
            _, stated = self._by_pps.get(bits.unsigned(), (None, None))
        except EOFError:
            return None
        return stated

    def _drops_pictures(self, packet: bytes, after_end: bool) -> bool:
        """Whether decoders drop pictures that are decoded and not yet output (ITU-T H.265 C.5.2.2).

        They do if a sequence begins with ``no_output_of_prior_pics_flag``, which a CRA picture after an end
        of sequence implies.
        """
        head = self._reader.picture_head(packet, HEVC_PICTURES, 3)
        if head is None or len(head) < 3:
            return False
        kind = head[0] >> 1 & 63
        if kind not in HEVC_IRAP or (kind == HEVC_CRA and not after_end):
            return False
        return (kind == HEVC_CRA or head[2] >> 6 & 1 == 1) and self.formats[-1][1].reordered > 0


def _packet_at(entries: Sequence[tuple[int, object]], number: int) -> int | None:
    return entries[number][0] if number < len(entries) else None


def _parsed(parse: Callable[[bytes], PictureFormat], data: bytes) -> PictureFormat | None:
    try:
        return parse(data)
    except EOFError:
        return None  # decoders cannot read it either


def _orientation(payload: bytes) -> _Orientation:
    """A display orientation SEI message (ITU-T H.264 and H.265, annex D)."""
    bits = Bits(payload)
    try:
        if bits.take(1):  # display_orientation_cancel_flag
            return UPRIGHT
        return bits.take(1), bits.take(1), bits.take(16)
    except EOFError:
        return UPRIGHT


def _describe(orientation: _Orientation) -> str:
    mirrored, flipped, turn = orientation
    words = [f"{turn * 360 / 65536:.0f} degrees"]
    return " ".join(words + ["mirrored"] * mirrored + ["upside down"] * flipped)
