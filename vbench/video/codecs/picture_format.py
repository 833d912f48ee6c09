"""The size, chroma format, bit depth and colours of pictures, as H.264 and HEVC parameter sets state them."""

from dataclasses import dataclass

from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.h264_parameter_sets import WITH_CHROMA_FORMAT, chroma_format, skip_order_count

_BT601 = 5
_BT601_ALIKE = (0, 2, 3, 5, 6)
"""Matrix coefficients of ITU-T H.273 that FFmpeg converts alike: unspecified ones, and both of BT.601."""
_CHROMA = {0: "grey", 1: "4:2:0", 2: "4:2:2", 3: "4:4:4"}
RGB_MATRIX = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """What a header states of its pictures that pixels depend on."""

    width: int
    """Width in pixels, after the header's own cropping."""
    height: int
    """Height in pixels, after the header's own cropping."""
    chroma: int
    """``chroma_format_idc``: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4; 4 for 4:4:0, -1 if the header does not
    say."""
    bit_depth: int
    """Bits per sample; -1 if the header does not say."""
    matrix: int | None = None
    """Matrix coefficients of ITU-T H.273; None if the header states none."""
    full_range: bool | None = None
    """Whether luma is full range (0 to 255 in 8 bits); None if the header does not say."""
    reordered: int = 0
    """HEVC: most pictures that a decoder holds back to put them in order (``sps_max_num_reorder_pics``)."""

    def change(self, later: "PictureFormat") -> str | None:
        """What differs in ``later``, e.g. ``size from 640 x 368 to 368 x 640``; None if nothing does."""
        if (self.width, self.height) != (later.width, later.height):
            return f"picture size from {self.width} x {self.height} to {later.width} x {later.height}"
        if (self.chroma, self.bit_depth) != (later.chroma, later.bit_depth):
            return f"pixel format from {self._format()} to {later._format()}"
        if _matrix(self.matrix, self.chroma) != _matrix(later.matrix, later.chroma):
            return f"colour matrix from {_named(self.matrix)} to {_named(later.matrix)} (ITU-T H.273)"
        if bool(self.full_range) != bool(later.full_range):
            return f"colour range from {_range(self.full_range)} to {_range(later.full_range)}"
        return None

    def _format(self) -> str:
        return f"{_CHROMA.get(self.chroma, self.chroma)} with {self.bit_depth} bits"


def _matrix(number: int | None, chroma: int) -> int:
    if chroma == 3 and number == RGB_MATRIX:
        return RGB_MATRIX
    return _BT601 if number is None or number in _BT601_ALIKE else number


def _named(matrix: int | None) -> str:
    return "none" if matrix is None else str(matrix)


def _range(full: bool | None) -> str:
    return "full" if full else "limited"


def h264_picture_format(sps: bytes) -> PictureFormat:
    """The format in an H.264 sequence parameter set without its NAL header (ITU-T H.264 7.3.2.1.1 and annex
    E).

    Raises:
        EOFError: it ends too early.
    """
    bits = Bits(unescaped(sps))
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    bits.unsigned()  # seq_parameter_set_id
    chroma, depth, planes = 1, 8, False
    if profile in WITH_CHROMA_FORMAT:
        chroma, depth, planes = chroma_format(bits)
    bits.unsigned()  # log2_max_frame_num_minus4
    skip_order_count(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.take(1)  # gaps_in_frame_num_value_allowed_flag
    width, height = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
    frames_only = bits.take(1)
    if not frames_only:
        height *= 2
        bits.take(1)  # mb_adaptive_frame_field_flag
    bits.take(1)  # direct_8x8_inference_flag
    if bits.take(1):  # frame_cropping_flag
        unit_x = 2 if chroma in (1, 2) and not planes else 1
        unit_y = (2 if chroma == 1 and not planes else 1) * (2 - frames_only)
        width -= unit_x * (bits.unsigned() + bits.unsigned())
        height -= unit_y * (bits.unsigned() + bits.unsigned())
    matrix, full_range = _video_signal(bits) if bits.take(1) else (None, None)
    return PictureFormat(
        width=width, height=height, chroma=chroma, bit_depth=depth, matrix=matrix, full_range=full_range
    )


def hevc_picture_format(sps: bytes) -> PictureFormat:
    """The format in an HEVC sequence parameter set without its NAL header (ITU-T H.265 7.3.2.2.1 and annex
    E).

    Raises:
        EOFError: it ends too early.
    """
    bits = Bits(unescaped(sps))
    bits.take(4)  # sps_video_parameter_set_id
    layers = bits.take(3) + 1
    skip_profile_tier_level(bits, layers)
    bits.unsigned()  # sps_seq_parameter_set_id
    chroma = bits.unsigned()
    planes = chroma == 3 and bits.take(1) == 1
    width, height = bits.unsigned(), bits.unsigned()
    if bits.take(1):  # conformance_window_flag
        width -= (2 if chroma in (1, 2) and not planes else 1) * (bits.unsigned() + bits.unsigned())
        height -= (2 if chroma == 1 and not planes else 1) * (bits.unsigned() + bits.unsigned())
    depth = bits.unsigned() + 8
    bits.unsigned()  # bit_depth_chroma_minus8
    order_bits = bits.unsigned() + 4
    reordered = 0
    for _ in range(layers if bits.take(1) else 1):  # sps_sub_layer_ordering_info_present_flag
        bits.unsigned()  # sps_max_dec_pic_buffering_minus1
        reordered = bits.unsigned()
        bits.unsigned()  # sps_max_latency_increase_plus1
    _skip_hevc_tools(bits, chroma, order_bits)
    matrix, full_range = _video_signal(bits) if bits.take(1) else (None, None)
    return PictureFormat(
        width=width,
        height=height,
        chroma=chroma,
        bit_depth=depth,
        matrix=matrix,
        full_range=full_range,
        reordered=reordered,
    )


def _video_signal(bits: Bits) -> tuple[int | None, bool | None]:
    """Matrix and range from the head of ``vui_parameters``, which both codecs share (annex E.1.1, E.2.1)."""
    try:
        if bits.take(1) and bits.take(8) == 255:  # aspect_ratio_info_present_flag, aspect_ratio_idc
            bits.take(32)  # sar_width, sar_height
        if bits.take(1):  # overscan_info_present_flag
            bits.take(1)
        if not bits.take(1):  # video_signal_type_present_flag
            return None, None
        bits.take(3)  # video_format
        full_range = bits.take(1) == 1
        if not bits.take(1):  # colour_description_present_flag
            return None, full_range
        bits.take(16)  # colour_primaries, transfer_characteristics
        return bits.take(8), full_range
    except EOFError:
        return None, None  # decoders ignore a VUI that ends too early


def skip_profile_tier_level(bits: Bits, layers: int) -> None:
    """Skip from ``sps_temporal_id_nesting_flag`` to the end of ``profile_tier_level`` (ITU-T H.265 7.3.3)."""
    bits.take(1)
    bits.take(96)  # general profile, tier and level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers - 1)]
    if layers > 1:
        bits.take(2 * (9 - layers))  # reserved_zero_2bits
    for profile, level in present:
        bits.take(88 * profile + 8 * level)


def _skip_hevc_tools(bits: Bits, chroma: int, order_bits: int) -> None:
    """Skip from ``log2_min_luma_coding_block_size_minus3`` to before ``vui_parameters_present_flag``."""
    for _ in range(6):  # block sizes, transform hierarchy depths
        bits.unsigned()
    if bits.take(1) and bits.take(1):  # scaling_list_enabled_flag, sps_scaling_list_data_present_flag
        _skip_hevc_scaling_lists(bits)
    bits.take(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.take(1):  # pcm_enabled_flag
        bits.take(8)
        bits.unsigned()
        bits.unsigned()
        bits.take(1)
    pictures: list[int] = []
    for number in range(bits.unsigned()):  # num_short_term_ref_pic_sets
        pictures.append(_skip_reference_set(bits, number, pictures))
    if bits.take(1):  # long_term_ref_pics_present_flag
        for _ in range(bits.unsigned()):
            bits.take(order_bits)
            bits.take(1)
    bits.take(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _skip_hevc_scaling_lists(bits: Bits) -> None:
    """Skip ``scaling_list_data`` (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.take(1):  # scaling_list_pred_mode_flag
                bits.unsigned()
                continue
            if size > 1:
                bits.signed()  # scaling_list_dc_coef_minus8
            for _ in range(min(64, 1 << (4 + (size << 1)))):
                bits.signed()


def _skip_reference_set(bits: Bits, number: int, pictures: list[int]) -> int:
    """Skip ``st_ref_pic_set`` in a sequence parameter set (7.3.7); how many pictures it names."""
    if number and bits.take(1):  # inter_ref_pic_set_prediction_flag
        bits.take(1)  # delta_rps_sign
        bits.unsigned()  # abs_delta_rps_minus1
        named = 0
        for _ in range(pictures[number - 1] + 1):
            if bits.take(1) or bits.take(1):  # used_by_curr_pic_flag, use_delta_flag
                named += 1
        return named
    negative, positive = bits.unsigned(), bits.unsigned()
    for _ in range(negative + positive):
        bits.unsigned()
        bits.take(1)
    return negative + positive
