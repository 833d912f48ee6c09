"""Counts the frames that a decoder outputs for a packet: none, one, or several with one timestamp."""

from collections.abc import Iterable
from dataclasses import dataclass

from vbench.video.codecs.av1_obu import shown_frames
from vbench.video.codecs.h264_slices import Field, H264SliceReader
from vbench.video.codecs.hevc_slices import HevcSliceReader, hevc_layer
from vbench.video.codecs.nal_types import (
    H264_IDR,
    HEVC_BLA,
    HEVC_CRA,
    HEVC_IDR,
    HEVC_LEADING,
    HEVC_PICTURES,
    HEVC_SUB_LAYER_NON_REFERENCE,
)
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.picture_order import PictureOrder
from vbench.video.codecs.random_access import is_hidden
from vbench.video.codecs.vpx_headers import vp9_frames

_H264_FIRST_SLICES = (1, 2, 5)
"""NAL unit types of slices and of the first part of partitioned ones, ITU-T H.264 table 7-1."""
_HEAD_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures in one packet."""

    frames: int
    """Frames of which the packet contains all, or the first field."""
    completes_frame: bool = False
    """Whether it contains the second field of a frame that an earlier packet started."""
    has_unpaired_field: bool = False
    """Whether an earlier field has no second field."""
    only_redundant: bool = False
    """Whether it contains only redundant slices, and so nothing that is decoded."""
    lacks_reference: bool = False
    """Whether reference pictures are missing before it (H.264)."""
    output_order: int | None = None
    """Increases in the order in which decoders output pictures (H.264, HEVC); None if unknown."""


class PictureCounter:
    """Follows the packets of a stream in decoding order.

    Args:
        reader: of the stream.
        parameter_sets: NAL units in the stream's extradata.
    """

    def __init__(self, reader: PacketReader, parameter_sets: Iterable[bytes]) -> None:
        self._reader = reader
        self._slices = H264SliceReader()
        self._order = PictureOrder()
        self._open_field: Field | None = None
        self._hevc_slices = HevcSliceReader()
        if reader.codec == "h264":
            self._slices.add_parameter_sets(parameter_sets)
        elif reader.codec == "hevc":
            self._hevc_slices.add_parameter_sets(parameter_sets)

    @property
    def has_open_field(self) -> bool:
        """Whether the last frame has only one field so far."""
        return self._open_field is not None

    @property
    def reorder_depth(self) -> int | None:
        """How many pictures decoders hold back to put them in order; None if the stream does not say."""
        return (self._hevc_slices if self._reader.codec == "hevc" else self._slices).reorder_depth()

    def count(self, packet: bytes, parameter_sets: Iterable[bytes], *, after_end: bool = False) -> Pictures:
        """The pictures in the next packet.

        Args:
            packet: its data.
            parameter_sets: NAL units of those that changed with it.
            after_end: whether the packet is the first after an end of sequence (HEVC).
        """
        codec = self._reader.codec
        if codec == "h264":
            self._slices.add_parameter_sets(parameter_sets)
            return self._h264(packet)
        if codec == "hevc":
            self._hevc_slices.add_parameter_sets(parameter_sets)
            return self._hevc(packet, after_end=after_end)
        if codec == "vp9":
            return Pictures(frames=sum(map(_is_shown_vp9, vp9_frames(packet))))
        if codec == "av1":
            return Pictures(frames=shown_frames(packet))
        return Pictures(frames=int(not is_hidden(self._reader, packet)))

    def _h264(self, packet: bytes) -> Pictures:
        frames, completes, unpaired, redundant = 0, False, False, False
        lacks_reference, order = False, None
        for head in self._reader.heads(packet, _H264_FIRST_SLICES, _HEAD_BYTES):
            if len(head) < 2 or not head[1] >> 7:  # first_mb_in_slice is 0 if its first bit is 1
                continue
            coded = self._slices.slice(head)
            if coded.redundant:
                redundant = True
                continue
            field = coded.field
            before, self._open_field = self._open_field, None
            if field is not None and before == Field(bottom=not field.bottom, frame_num=field.frame_num):
                completes = completes or not frames
                continue
            unpaired = unpaired or before is not None
            self._open_field = field
            frames += 1
            is_idr, is_reference = head[0] & 31 == H264_IDR, head[0] >> 5 & 3 > 0
            if self._order.lacks_reference(coded.count, begins=is_idr, is_reference=is_reference):
                lacks_reference = True
            order = self._order.add(coded.count, begins=is_idr, is_anchor=is_reference)
        redundant = redundant and not (frames or completes)
        return Pictures(
            frames=frames,
            completes_frame=completes,
            has_unpaired_field=unpaired,
            only_redundant=redundant,
            lacks_reference=lacks_reference,
            output_order=order,
        )

    def _hevc(self, packet: bytes, *, after_end: bool) -> Pictures:
        frames, order = 0, None
        for head in self._reader.heads(packet, HEVC_PICTURES, _HEAD_BYTES):
            if not _begins_hevc(head):
                continue
            coded, kind = self._hevc_slices.slice(head), head[0] >> 1 & 63
            is_anchor = head[1] & 7 == 1 and not (
                kind in HEVC_LEADING or kind in HEVC_SUB_LAYER_NON_REFERENCE
            )
            begins = kind in HEVC_IDR or kind in HEVC_BLA or (after_end and kind == HEVC_CRA)
            order = self._order.add(coded.count, begins=begins, is_anchor=is_anchor)
            frames += coded.is_output
        return Pictures(frames=frames, output_order=order)


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
