"""Reads H.264 slice headers: whether a slice belongs to a frame, a field or a redundant picture, and its
order.

Sections are those of ITU-T H.264.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as field_of

from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.h264_parameter_sets import (
    WITH_CHROMA_FORMAT,
    chroma_format,
    has_frames_only,
    reordered_pictures,
)
from vbench.video.codecs.nal_types import H264_IDR, H264_PPS, H264_SPS
from vbench.video.codecs.picture_order import PictureOrderCount

_HEAD_BYTES = 24
"""Bytes of a slice or picture parameter set that are read: more than enough for its redundancy fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field picture."""

    bottom: bool
    frame_num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What a slice header states of the picture that the slice belongs to."""

    field: Field | None = None
    """The field that the slice is part of; None for a frame."""
    redundant: bool = False
    """Whether it codes part of the picture again, which decoders ignore (``redundant_pic_cnt`` above 0)."""
    count: PictureOrderCount | None = field_of(default=None, compare=False)
    """The picture's position in order; None if the header cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sequence:
    """What a sequence parameter set states of its slices' headers."""

    frames_only: bool
    separate_planes: bool
    frame_num_bits: int
    order_bits: int
    """Bits of ``pic_order_cnt_lsb``; 0 if slices have none."""
    order_deltas: bool
    """Whether slices have ``delta_pic_order_cnt`` (``pic_order_cnt_type`` 1)."""
    in_decoding_order: bool
    """Whether pictures are output in decoding order (``pic_order_cnt_type`` 2)."""
    reordered: int | None
    """How many pictures decoders hold back to put them in order; None if the set does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What a picture parameter set states of its slices' headers."""

    sequence: int
    """Id of its sequence parameter set."""
    bottom_order: bool = False
    """``bottom_field_pic_order_in_frame_present_flag``."""
    redundancy: bool = False
    """``redundant_pic_cnt_present_flag``."""


_WHOLE_FRAME = Slice()


class H264SliceReader:
    """Reads slice headers up to ``redundant_pic_cnt``, with the active parameter sets."""

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, tuple[_Picture, _Sequence]] = {}
        """Picture parameter sets, each with the sequence parameter set that was active when it arrived."""
        self._depths: set[int | None] = set()
        """``_Sequence.reordered`` of all sequence parameter sets so far."""

    def add_parameter_sets(self, units: Iterable[bytes]) -> None:
        """Activate the parameter sets among these NAL units; damaged ones are ignored."""
        for unit in units:
            try:
                if unit[0] & 31 == H264_SPS:
                    number, sequence = _sequence(unit[1:])
                    self._sequences[number] = sequence
                    self._depths.add(sequence.reordered)
                elif unit[0] & 31 == H264_PPS:
                    number, picture = _picture(unit[1:_HEAD_BYTES])
                    if picture.sequence in self._sequences:
                        self._pictures[number] = picture, self._sequences[picture.sequence]
            except EOFError:
                continue

    def reorder_depth(self) -> int | None:
        """Fewest pictures that decoders hold back to put them in order; None if the stream does not say."""
        known = [depth for depth in self._depths if depth is not None]
        return min(known) if known and len(known) == len(self._depths) else None

    def slice(self, head: bytes) -> Slice:
        """What a slice belongs to (7.3.3); a frame if the header is damaged.

        Args:
            head: the first 24 bytes of the slice's NAL unit.
        """
        bits, field, count = Bits(unescaped(head[1:])), None, None
        try:
            bits.unsigned()  # first_mb_in_slice
            bits.unsigned()  # slice_type
            parameter_sets = self._pictures.get(bits.unsigned())
            if parameter_sets is None:
                return _WHOLE_FRAME
            picture, sequence = parameter_sets
            if sequence.separate_planes:
                bits.take(2)
            frame_num = bits.take(sequence.frame_num_bits)
            if not sequence.frames_only and bits.take(1):
                field = Field(frame_num=frame_num, bottom=bits.take(1) == 1)
            if head[0] & 31 == H264_IDR:
                bits.unsigned()  # idr_pic_id
            count = PictureOrderCount(
                frame_num=frame_num,
                frame_num_bits=sequence.frame_num_bits,
                lsb=bits.take(sequence.order_bits) if sequence.order_bits else None,
                lsb_bits=sequence.order_bits,
                in_decoding_order=sequence.in_decoding_order,
            )
            if not picture.redundancy:
                return Slice(field=field, count=count)
            deltas = (1 if sequence.order_deltas else 0) + (picture.bottom_order and field is None)
            for _ in range(deltas if sequence.order_bits or sequence.order_deltas else 0):
                bits.signed()  # delta_pic_order_cnt_bottom, delta_pic_order_cnt
            return Slice(field=field, redundant=bits.unsigned() > 0, count=count)
        except EOFError:
            return Slice(field=field, count=count)


def _sequence(sps: bytes) -> tuple[int, _Sequence]:
    """Id and content of a sequence parameter set without its NAL header (7.3.2.1.1)."""
    bits = Bits(unescaped(sps))
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    number = bits.unsigned()
    separate = profile in WITH_CHROMA_FORMAT and chroma_format(bits)[2]
    frame_num_bits = bits.unsigned() + 4
    order_type = bits.unsigned()  # pic_order_cnt_type
    return number, _Sequence(
        frames_only=has_frames_only(sps),
        separate_planes=separate,
        frame_num_bits=frame_num_bits,
        order_bits=bits.unsigned() + 4 if order_type == 0 else 0,
        order_deltas=order_type == 1 and not bits.take(1),  # delta_pic_order_always_zero_flag
        in_decoding_order=order_type == 2,
        reordered=reordered_pictures(sps),
    )


def _picture(pps: bytes) -> tuple[int, _Picture]:
    """Id and content of the head of a picture parameter set without its NAL header (7.3.2.2).

    Sets with several slice groups, which FFmpeg does not decode, are not read further.
    """
    bits = Bits(unescaped(pps))
    number, sequence = bits.unsigned(), bits.unsigned()
    try:
        bits.take(1)  # entropy_coding_mode_flag
        bottom_order = bits.take(1) == 1
        if bits.unsigned():  # num_slice_groups_minus1
            return number, _Picture(sequence=sequence, bottom_order=bottom_order)
        bits.unsigned()  # num_ref_idx_l0_default_active_minus1
        bits.unsigned()  # num_ref_idx_l1_default_active_minus1
        bits.take(3)  # weighted_pred_flag, weighted_bipred_idc
        for _ in range(3):  # pic_init_qp_minus26, pic_init_qs_minus26, chroma_qp_index_offset
            bits.signed()
        bits.take(2)  # deblocking_filter_control_present_flag, constrained_intra_pred_flag
        redundancy = bits.take(1) == 1
    except EOFError:
        return number, _Picture(sequence=sequence)
    return number, _Picture(sequence=sequence, bottom_order=bottom_order, redundancy=redundancy)
