"""Reads from an H.264 sequence parameter set whether its pictures can be fields."""

from vbench.video.bits import Bits, unescaped

WITH_CHROMA_FORMAT = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
"""Values of ``profile_idc`` whose parameter sets say their chroma format, ITU-T H.264 7.3.2.1.1."""


def has_frames_only(sps: bytes) -> bool:
    """``frame_mbs_only_flag`` of a sequence parameter set without its NAL header (ITU-T H.264 7.3.2.1.1).

    False where it ends too early to tell.
    """
    bits = Bits(unescaped(sps))
    try:
        skip_to_frames_only(bits)
        return bits.take(1) == 1
    except EOFError:
        return False


def skip_to_frames_only(bits: Bits) -> None:
    """Take what stands before ``frame_mbs_only_flag``; EOFError where the parameter set ends before."""
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level_idc
    bits.unsigned()  # seq_parameter_set_id
    if profile in WITH_CHROMA_FORMAT:
        _skip_chroma_format(bits)
    bits.unsigned()  # log2_max_frame_num_minus4
    skip_order_count(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.take(1)  # gaps_in_frame_num_value_allowed_flag
    bits.unsigned()  # pic_width_in_mbs_minus1
    bits.unsigned()  # pic_height_in_map_units_minus1


def _skip_chroma_format(bits: Bits) -> None:
    chroma_format = bits.unsigned()
    if chroma_format == 3:
        bits.take(1)  # separate_colour_plane_flag
    bits.unsigned()  # bit_depth_luma_minus8
    bits.unsigned()  # bit_depth_chroma_minus8
    bits.take(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.take(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma_format == 3 else 8):
            if bits.take(1):
                skip_scaling_list(bits, 16 if number < 6 else 64)


def skip_scaling_list(bits: Bits, size: int) -> None:
    """``scaling_list``, 7.3.2.1.1.1: a list ends early where the next scale is 0."""
    scale = 8
    for _ in range(size):
        scale = (scale + bits.signed()) % 256
        if scale == 0:
            return


def skip_order_count(bits: Bits) -> None:
    """From ``pic_order_cnt_type`` to before ``max_num_ref_frames``, 7.3.2.1.1."""
    kind = bits.unsigned()  # pic_order_cnt_type
    if kind == 0:
        bits.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        bits.take(1)  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(bits.unsigned()):  # num_ref_frames_in_pic_order_cnt_cycle
            bits.signed()  # offset_for_ref_frame
