"""NAL unit types of H.264 (ITU-T H.264 table 7-1) and HEVC (ITU-T H.265 table 7-1), and SEI payload types."""

H264_SLICE, H264_IDR, H264_SEI, H264_SPS, H264_PPS = 1, 5, 6, 7, 8
H264_PICTURES = range(1, 6)
"""Types that carry picture data."""
H264_SHORT = (9, 10, 11)
"""Access unit delimiter, end of sequence, end of stream."""
H264_NON_PICTURES = (*range(6, 14), 15)
"""Parameter sets, SEI, filler data, and ``H264_SHORT``."""

HEVC_LEADING = (6, 7, 8, 9)
"""RADL and RASL pictures."""
HEVC_RASL = (8, 9)
"""Random access skipped leading pictures: they refer to pictures before their random access point."""
HEVC_SUB_LAYER_NON_REFERENCE = range(0, 16, 2)
"""TRAIL_N to RSV_VCL_N14: no picture of the same temporal sub-layer refers to them."""
HEVC_BLA = (16, 17, 18)
HEVC_IDR = (19, 20)
HEVC_CRA = 21
HEVC_IRAP = range(16, 24)
HEVC_PICTURES = range(32)
"""Types that carry picture data."""
HEVC_VPS, HEVC_SPS, HEVC_PPS = 32, 33, 34
HEVC_END = (36, 37)
"""End of sequence, end of bitstream."""
HEVC_SHORT = (35, *HEVC_END)
"""Access unit delimiter, and ends."""
HEVC_PREFIX_SEI = 39
HEVC_NON_PICTURES = range(32, 41)
"""Parameter sets, SEI, filler data, and ``HEVC_SHORT``."""

SEI_USER_DATA, SEI_RECOVERY_POINT, SEI_FILM_GRAIN, SEI_DISPLAY_ORIENTATION = 5, 6, 19, 47
"""SEI payload types (ITU-T H.264 and H.265, annex D)."""
