"""Makes H.264 clips with redundant slices: second codings of a picture, for decoders that lost the first.

No encoder at hand writes them. Here the headers of x264's slices are rewritten (ITU-T H.264 7.3.2.2, 7.3.3).
"""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from tests.video.support.clips import run_ffmpeg, source
from tests.video.support.fields import START, BitCopy, units_of

Packing = Literal["together", "apart"]
"""Both codings of a picture in one packet, or each in its own."""

_IDR, _SLICE = 5, 1


def with_redundant_slices(path: Path, *, packing: Packing, options: str = "bframes=2") -> Path:
    """Write ``path`` (MP4, Matroska or MPEG-TS): 48 frames of 160 x 90, each picture coded in two slices."""
    plain = path.with_name(f"{path.name}.plain.mp4")
    coded = f"keyint=12:scenecut=0:cabac=0:8x8dct=0:weightp=0:slices=2:{options}"
    coder = f"-c:v libx264 -preset fast -profile:v main -threads 1 -x264-params {coded}"
    run_ffmpeg(*f"{source(seconds=2, rate='24')} {coder}".split(), str(plain))
    with av.open(str(plain)) as opened, av.open(str(path), "w") as target:
        stream = opened.streams.video[0]
        header = stream.codec_context.extradata
        assert header is not None
        end = 8 + int.from_bytes(header[6:8], "big")  # avcC, ISO/IEC 14496-15
        sps, pps = header[8:end], header[end + 3 :]
        lengths = _field_lengths(sps)
        parameters = START + sps + START + _redundant_pps(pps)
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.codec_context.extradata = parameters
        for packet in opened.demux(stream):
            if not packet.size:
                continue
            units = [unit for unit in units_of(bytes(packet)) if unit[0] & 31 in (_IDR, _SLICE)]
            primary, redundant = (
                b"".join(START + _slice(unit, *lengths, count) for unit in units) for count in (0, 1)
            )
            if packet.is_keyframe:
                primary = parameters + primary
            parts = [primary + redundant] if packing == "together" else [primary, redundant]
            for at, data in enumerate(parts):
                made = av.Packet(data)
                assert packet.pts is not None
                assert packet.dts is not None
                made.pts, made.dts = packet.pts + at, packet.dts + at
                made.time_base, made.is_keyframe = Fraction(stream.time_base or 1), packet.is_keyframe
                made.stream = copied
                target.mux_one(made)
    return path


def _field_lengths(sps: bytes) -> tuple[int, int]:
    """Bits of ``frame_num`` and of ``pic_order_cnt_lsb``, 0 if slices have none (7.3.2.1.1)."""
    bits = BitCopy(sps)
    bits.copy(32)  # NAL header, profile_idc, constraint flags, level_idc
    bits.copy_unsigned()  # seq_parameter_set_id
    frame_num = 4 + bits.copy_unsigned()
    return frame_num, 4 + bits.copy_unsigned() if bits.copy_unsigned() == 0 else 0


def _redundant_pps(pps: bytes) -> bytes:
    """A picture parameter set whose slices say which coding of the picture they are (7.3.2.2)."""
    bits = BitCopy(pps)
    bits.copy(8)  # NAL header
    bits.copy_unsigned()  # pic_parameter_set_id
    bits.copy_unsigned()  # seq_parameter_set_id
    bits.copy(2)  # entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag
    assert bits.copy_unsigned() == 0  # num_slice_groups_minus1
    bits.copy_unsigned()  # num_ref_idx_l0_default_active_minus1
    bits.copy_unsigned()  # num_ref_idx_l1_default_active_minus1
    bits.copy(3)  # weighted_pred_flag, weighted_bipred_idc
    for _ in range(3):  # pic_init_qp_minus26, pic_init_qs_minus26, chroma_qp_index_offset
        bits.copy_unsigned()
    bits.copy(2)  # deblocking_filter_control_present_flag, constrained_intra_pred_flag
    assert bits.take(1) == "0"  # redundant_pic_cnt_present_flag
    bits.written += "1"
    return bits.finish()


def _slice(unit: bytes, frame_num_bits: int, order_bits: int, redundant_pic_cnt: int) -> bytes:
    """A slice that says which coding of the picture it is (7.3.3)."""
    bits = BitCopy(unit)
    bits.copy(8)  # NAL header
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        bits.copy_unsigned()
    bits.copy(frame_num_bits)
    if unit[0] & 31 == _IDR:
        bits.copy_unsigned()  # idr_pic_id
    bits.copy(order_bits)
    bits.written += {0: "1", 1: "010"}[redundant_pic_cnt]
    return bits.finish()
