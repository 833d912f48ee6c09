"""Reads from H.264 sequence parameter sets whether pictures can be fields, and how far they are reordered.

Sections are those of ITU-T H.264.
"""

from vbench.video.codecs.bits import Bits, unescaped

WITH_CHROMA_FORMAT = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
"""Values of ``profile_idc`` whose parameter sets state their chroma format, 7.3.2.1.1."""


def has_frames_only(sps: bytes) -> bool:
    """``frame_mbs_only_flag`` of a sequence parameter set without its NAL header (7.3.2.1.1).

    False if it ends too early to tell.
    """
    bits = Bits(unescaped(sps))
    try:
        skip_to_frames_only(bits)
        return bits.take(1) == 1
    except EOFError:
        return False


def skip_to_frames_only(bits: Bits) -> None:
    """Skip what precedes ``frame_mbs_only_flag``; EOFError if the parameter set ends before."""
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    bits.unsigned()  # seq_parameter_set_id
    if profile in WITH_CHROMA_FORMAT:
        chroma_format(bits)
    bits.unsigned()  # log2_max_frame_num_minus4
    skip_order_count(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.take(1)  # gaps_in_frame_num_value_allowed_flag
    bits.unsigned()  # pic_width_in_mbs_minus1
    bits.unsigned()  # pic_height_in_map_units_minus1


def chroma_format(bits: Bits) -> tuple[int, int, bool]:
    """Read what only the profiles ``WITH_CHROMA_FORMAT`` have: ``chroma_format_idc``, the bit depth of luma,
    and ``separate_colour_plane_flag``."""
    chroma = bits.unsigned()
    separate = chroma == 3 and bits.take(1) == 1
    depth = bits.unsigned() + 8
    bits.unsigned()  # bit_depth_chroma_minus8
    bits.take(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.take(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.take(1):
                skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, depth, separate


def skip_scaling_list(bits: Bits, size: int) -> None:
    """Skip ``scaling_list`` (7.3.2.1.1.1): a list ends early if the next scale is 0."""
    scale = 8
    for _ in range(size):
        scale = (scale + bits.signed()) % 256
        if scale == 0:
            return


def skip_order_count(bits: Bits) -> None:
    """Skip from ``pic_order_cnt_type`` to before ``max_num_ref_frames`` (7.3.2.1.1)."""
    kind = bits.unsigned()  # pic_order_cnt_type
    if kind == 0:
        bits.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        bits.take(1)  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(bits.unsigned()):  # num_ref_frames_in_pic_order_cnt_cycle
            bits.signed()  # offset_for_ref_frame


def reordered_pictures(sps: bytes) -> int | None:
    """``max_num_reorder_frames`` of a sequence parameter set without its NAL header; None if it has none.

    It is the number of pictures that a decoder holds back to put them in order (annex E.2.1).
    """
    bits = Bits(unescaped(sps))
    try:
        skip_to_frames_only(bits)
        if not bits.take(1):  # frame_mbs_only_flag
            bits.take(1)
        bits.take(1)  # direct_8x8_inference_flag
        if bits.take(1):  # frame_cropping_flag
            for _ in range(4):
                bits.unsigned()
        if not bits.take(1):  # vui_parameters_present_flag
            return None
        _skip_to_restriction(bits)
        if not bits.take(1):  # bitstream_restriction_flag
            return None
        bits.take(1)  # motion_vectors_over_pic_boundaries_flag
        for _ in range(4):  # bytes, bits, and lengths of vectors
            bits.unsigned()
        return bits.unsigned()
    except EOFError:
        return None


def _skip_to_restriction(bits: Bits) -> None:
    """``vui_parameters`` up to before ``bitstream_restriction_flag``, E.1.1."""
    if bits.take(1) and bits.take(8) == 255:  # aspect_ratio_info_present_flag, aspect_ratio_idc
        bits.take(32)  # sar_width, sar_height
    if bits.take(1):  # overscan_info_present_flag
        bits.take(1)
    if bits.take(1):  # video_signal_type_present_flag
        bits.take(4)  # video_format, video_full_range_flag
        if bits.take(1):  # colour_description_present_flag
            bits.take(24)
    if bits.take(1):  # chroma_loc_info_present_flag
        bits.unsigned()
        bits.unsigned()
    if bits.take(1):  # timing_info_present_flag
        bits.take(65)
    buffers = 0
    for _ in range(2):  # nal_hrd_parameters_present_flag, vcl_hrd_parameters_present_flag
        if bits.take(1):
            _skip_buffer(bits)
            buffers += 1
    if buffers:
        bits.take(1)  # low_delay_hrd_flag
    bits.take(1)  # pic_struct_present_flag


def _skip_buffer(bits: Bits) -> None:
    """``hrd_parameters``, E.1.2."""
    count = bits.unsigned() + 1
    bits.take(8)  # bit_rate_scale, cpb_size_scale
    for _ in range(count):
        bits.unsigned()
        bits.unsigned()
        bits.take(1)
    bits.take(20)  # lengths of delays and of times
