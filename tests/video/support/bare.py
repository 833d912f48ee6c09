"""Copies an H.264 clip without what its parameter set may leave out: how far pictures are reordered."""

from pathlib import Path

import av

from vbench.video.codecs.bits import Bits, unescaped
from vbench.video.codecs.h264_parameter_sets import skip_to_frames_only


def without_usability_information(path: Path, copy: Path) -> Path:
    """The clip at ``path`` (MP4), as ``copy``, with no VUI (ITU-T H.264 annex E) in its parameter set."""
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        header = stream.codec_context.extradata
        assert header is not None
        end = 8 + int.from_bytes(header[6:8], "big")  # avcC, ISO/IEC 14496-15: the first parameter set
        sps = header[8:9] + _bare(header[9:end])
        copied.codec_context.extradata = header[:6] + len(sps).to_bytes(2, "big") + sps + header[end:]
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    return copy


def _bare(sps: bytes) -> bytes:
    """A sequence parameter set, without NAL header, up to ``vui_parameters_present_flag``, which is 0."""
    data = unescaped(sps)
    bits = Bits(data)
    skip_to_frames_only(bits)
    assert bits.take(1) == 1  # frame_mbs_only_flag
    bits.take(1)  # direct_8x8_inference_flag
    if bits.take(1):  # frame_cropping_flag
        for _ in range(4):
            bits.unsigned()
    at = 8 * len(data) - bits.left
    assert bits.take(1) == 1  # vui_parameters_present_flag: else there is nothing to leave out
    kept = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"[:at] + "01"  # the flag, rbsp_stop_one_bit
    kept += "0" * (-len(kept) % 8)
    return int(kept, 2).to_bytes(len(kept) // 8, "big")
