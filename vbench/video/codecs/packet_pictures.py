"""Counts the pictures that a decoder hands out for a packet: none, one, or several with one time stamp."""

from collections.abc import Iterable
from dataclasses import dataclass

from vbench.video.codecs.av1_obu import shown_frames
from vbench.video.codecs.bitstream import (
    H264_IDR,
    HEVC_BLA,
    HEVC_CRA,
    HEVC_IDR,
    HEVC_LEADING,
    HEVC_SUB_LAYER_NON_REFERENCE,
    PacketReader,
)
from vbench.video.codecs.h264_slices import Field, SliceReader
from vbench.video.codecs.hevc_slices import HevcSliceReader, hevc_layer
from vbench.video.codecs.picture_order import PictureOrder
from vbench.video.codecs.vpx_headers import vp9_frames

_H264_FIRST_SLICES = (1, 2, 5)
"""NAL unit types of slices and of the first part of partitioned ones, ITU-T H.264 table 7-1."""
_HEVC_SLICES = range(32)
_HEAD_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What a packet holds."""

    begun: int
    """Frames of which the packet holds the whole, or the first field."""
    completes: bool = False
    """Whether it holds the second field of a frame that an earlier packet began."""
    unpaired: bool = False
    """Whether a field before has no second one."""
    redundant: bool = False
    """Whether it holds nothing but second codings of a picture, and so nothing that is decoded."""
    lacks_reference: bool = False
    """Whether pictures that others refer to are missing before it (H.264)."""
    order: int | None = None
    """Rises in the order in which decoders hand pictures out (H.264, HEVC); None if that cannot be told."""


class PictureCounter:
    """Follows the packets of a stream in decoding order."""

    def __init__(self, reader: PacketReader, parameter_sets: Iterable[bytes]) -> None:
        self._reader = reader
        self._slices = SliceReader()
        self._order = PictureOrder()
        self._open: Field | None = None
        self._hevc_slices = HevcSliceReader()
        if reader.codec == "h264":
            self._slices.see(parameter_sets)
        elif reader.codec == "hevc":
            self._hevc_slices.see(parameter_sets)

    @property
    def is_open(self) -> bool:
        """Whether the last frame has one field only."""
        return self._open is not None

    @property
    def held_back(self) -> int | None:
        """How many pictures decoders hold back to put them in order, if the stream says so."""
        return (self._hevc_slices if self._reader.codec == "hevc" else self._slices).held_back()

    def count(self, packet: bytes, parameter_sets: Iterable[bytes], *, opens: bool = False) -> Pictures:
        """The pictures in a packet, and what it has in parameter sets.

        Args:
            packet: its data.
            parameter_sets: those that changed with it.
            opens: whether the packet is the first after an end of sequence (HEVC).
        """
        codec = self._reader.codec
        if codec == "h264":
            self._slices.see(parameter_sets)
            return self._h264(packet)
        if codec == "hevc":
            self._hevc_slices.see(parameter_sets)
            return self._hevc(packet, opens=opens)
        if codec == "vp9":
            return Pictures(begun=sum(map(_is_shown_vp9, vp9_frames(packet))))
        if codec == "av1":
            return Pictures(begun=shown_frames(packet))
        return Pictures(begun=int(not self._reader.is_hidden(packet)))

    def _h264(self, packet: bytes) -> Pictures:
        begun, completes, unpaired, redundant = 0, False, False, False
        lacks_reference, order = False, None
        for head in self._reader.heads(packet, _H264_FIRST_SLICES, _HEAD_BYTES):
            if len(head) < 2 or not head[1] >> 7:  # first_mb_in_slice is 0 if its first bit is 1
                continue
            coded = self._slices.slice(head)
            if coded.redundant:
                redundant = True
                continue
            field = coded.field
            before, self._open = self._open, None
            if field is not None and before == Field(bottom=not field.bottom, frame_num=field.frame_num):
                completes = completes or not begun
                continue
            unpaired = unpaired or before is not None
            self._open = field
            begun += 1
            is_idr, is_reference = head[0] & 31 == H264_IDR, head[0] >> 5 & 3 > 0
            if self._order.lacks_reference(coded.count, begins=is_idr, is_reference=is_reference):
                lacks_reference = True
            order = self._order.add(coded.count, begins=is_idr, is_anchor=is_reference)
        redundant = redundant and not (begun or completes)
        return Pictures(
            begun=begun,
            completes=completes,
            unpaired=unpaired,
            redundant=redundant,
            lacks_reference=lacks_reference,
            order=order,
        )

    def _hevc(self, packet: bytes, *, opens: bool) -> Pictures:
        begun, order = 0, None
        for head in self._reader.heads(packet, _HEVC_SLICES, _HEAD_BYTES):
            if not _begins_hevc(head):
                continue
            coded, kind = self._hevc_slices.slice(head), head[0] >> 1 & 63
            is_anchor = head[1] & 7 == 1 and not (
                kind in HEVC_LEADING or kind in HEVC_SUB_LAYER_NON_REFERENCE
            )
            begins = kind in HEVC_IDR or kind in HEVC_BLA or (opens and kind == HEVC_CRA)
            order = self._order.add(coded.count, begins=begins, is_anchor=is_anchor)
            begun += coded.is_output
        return Pictures(begun=begun, order=order)


def _begins_hevc(head: bytes) -> bool:
    """Whether a slice is the first of a picture of the base layer (ITU-T H.265 7.3.1.2, 7.3.6.1)."""
    return len(head) > 2 and hevc_layer(head) == 0 and head[2] >> 7 == 1


def _is_shown_vp9(frame: bytes) -> bool:
    """``show_existing_frame`` or ``show_frame`` (VP9 bitstream specification 6.2)."""
    if not frame:
        return False
    profile = (frame[0] >> 5 & 1) | (frame[0] >> 4 & 1) << 1
    at = 3 - (profile == 3)  # profile 3 has a reserved bit more
    return frame[0] >> at & 1 == 1 or frame[0] >> (at - 2) & 1 == 1
