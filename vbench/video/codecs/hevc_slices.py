"""Reads from HEVC slice headers whether a picture is output, and in which order.

Sections are those of ITU-T H.265.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.nal_types import HEVC_IDR, HEVC_IRAP, HEVC_PPS, HEVC_SPS
from vbench.video.codecs.picture_format import skip_profile_tier_level
from vbench.video.codecs.picture_order import PictureOrderCount

_HEAD_BYTES = 24
"""Bytes of a picture parameter set that are read: more than enough for what slice headers depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HevcSlice:
    """What the first slice of a picture states of it."""

    is_output: bool = True
    """``pic_output_flag``: whether decoders output the picture."""
    count: PictureOrderCount | None = None
    """The picture's position in order; None if the header cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sequence:
    separate_planes: bool
    order_bits: int
    """Bits of ``slice_pic_order_cnt_lsb``."""
    reordered: int
    """How many pictures decoders hold back to put them in order (``sps_max_num_reorder_pics``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    sequence: int
    """Id of its sequence parameter set."""
    output_flags: bool
    """``output_flag_present_flag``."""
    extra_bits: int
    """``num_extra_slice_header_bits``."""


class HevcSliceReader:
    """Reads slice headers up to ``slice_pic_order_cnt_lsb``, with the active parameter sets."""

    def __init__(self) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, _Picture] = {}
        self._depths: set[int] = set()
        """``_Sequence.reordered`` of all sequence parameter sets so far."""

    def add_parameter_sets(self, units: Iterable[bytes]) -> None:
        """Activate the base layer's parameter sets among these NAL units; damaged ones are ignored."""
        for unit in units:
            if len(unit) < 3 or hevc_layer(unit):
                continue
            try:
                if unit[0] >> 1 & 63 == HEVC_SPS:
                    number, sequence = _sequence(unit[2:])
                    self._sequences[number] = sequence
                    self._depths.add(sequence.reordered)
                elif unit[0] >> 1 & 63 == HEVC_PPS:
                    number, picture = _picture(unit[2:_HEAD_BYTES])
                    self._pictures[number] = picture
            except EOFError:
                continue

    def reorder_depth(self) -> int | None:
        """Fewest pictures that decoders hold back to put them in order; None if the stream does not say."""
        return min(self._depths, default=None)

    def slice(self, head: bytes) -> HevcSlice:
        """What the first slice of a picture states (7.3.6.1); a picture to output if the header is damaged.

        Args:
            head: the first 24 bytes of the slice's NAL unit.
        """
        kind, bits = head[0] >> 1 & 63, Bits(unescaped(head[2:]))
        is_output = True
        try:
            # first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
            bits.take(2 if kind in HEVC_IRAP else 1)
            picture = self._pictures.get(bits.unsigned())
            sequence = self._sequences.get(picture.sequence) if picture else None
            if picture is None or sequence is None:
                return HevcSlice()
            bits.take(picture.extra_bits)
            bits.unsigned()  # slice_type
            is_output = not picture.output_flags or bits.take(1) == 1
            if sequence.separate_planes:
                bits.take(2)
            lsb = 0 if kind in HEVC_IDR else bits.take(sequence.order_bits)
            return HevcSlice(
                is_output=is_output, count=PictureOrderCount(lsb=lsb, lsb_bits=sequence.order_bits)
            )
        except EOFError:
            return HevcSlice(is_output=is_output)


def hevc_layer(unit: bytes) -> int:
    """``nuh_layer_id`` of a NAL unit (7.3.1.2); 0 is the base layer."""
    return (unit[0] & 1) << 5 | unit[1] >> 3


def _sequence(sps: bytes) -> tuple[int, _Sequence]:
    """Id and content of a sequence parameter set without its NAL header (7.3.2.2.1)."""
    bits = Bits(unescaped(sps))
    bits.take(4)  # sps_video_parameter_set_id
    layers = bits.take(3) + 1
    skip_profile_tier_level(bits, layers)
    number = bits.unsigned()
    separate_planes = bits.unsigned() == 3 and bits.take(1) == 1  # chroma_format_idc
    bits.unsigned()  # pic_width_in_luma_samples
    bits.unsigned()  # pic_height_in_luma_samples
    if bits.take(1):  # conformance_window_flag
        for _ in range(4):
            bits.unsigned()
    bits.unsigned()  # bit_depth_luma_minus8
    bits.unsigned()  # bit_depth_chroma_minus8
    order_bits, reordered = bits.unsigned() + 4, 0
    for _ in range(layers if bits.take(1) else 1):  # sps_sub_layer_ordering_info_present_flag
        bits.unsigned()  # sps_max_dec_pic_buffering_minus1
        reordered = bits.unsigned()
        bits.unsigned()  # sps_max_latency_increase_plus1
    return number, _Sequence(separate_planes=separate_planes, order_bits=order_bits, reordered=reordered)


def _picture(pps: bytes) -> tuple[int, _Picture]:
    """Id and content of the head of a picture parameter set without its NAL header (7.3.2.3.1)."""
    bits = Bits(unescaped(pps))
    number, sequence = bits.unsigned(), bits.unsigned()
    bits.take(1)  # dependent_slice_segments_enabled_flag
    return number, _Picture(sequence=sequence, output_flags=bits.take(1) == 1, extra_bits=bits.take(3))
