"""Reads from an HEVC film grain message whether it also applies to later pictures."""

from vbench.video.codecs.bits import Bits


def has_lasting_grain(payload: bytes) -> bool:
    """Whether an SEI payload has ``film_grain_characteristics_persistence_flag`` (ITU-T H.265 D.2.20).

    False if the message ends all film grain, or is too short.
    """
    bits = Bits(payload)
    try:
        if bits.take(1):  # film_grain_characteristics_cancel_flag
            return False
        bits.take(2)  # film_grain_model_id
        if bits.take(1):  # separate_colour_description_present_flag
            bits.take(3 + 3 + 1 + 8 + 8 + 8)
        bits.take(2 + 4)  # blending_mode_id, log2_scale_factor
        for _ in range(bits.take(3).bit_count()):  # comp_model_present_flag of three components
            intervals, values = bits.take(8) + 1, bits.take(3) + 1
            for _ in range(intervals):
                bits.take(16)  # intensity_interval_lower_bound, intensity_interval_upper_bound
                for _ in range(values):
                    bits.signed()
        return bits.take(1) == 1
    except EOFError:
        return False
