"""Makes H.264 clips whose frames are coded as two field pictures each (PAFF), as broadcasters do.

No encoder at hand codes fields. Here x264 codes the fields as pictures of half the height, and their headers
are rewritten: to a decoder they are the two fields of frames then. The pictures look scrambled, since the
coefficients of fields are stored in another order, but every decoder gives the same.
"""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from tests.video.support.clips import run_ffmpeg

Packing = Literal["together", "apart", "apart_without_times"]
"""Both fields of a frame in one packet; each in its own; or so, and only the first has a time stamp."""

START = b"\0\0\0\1"
RATE = 24
_IDR, _SLICE = 5, 1
"""NAL unit types, ITU-T H.264 table 7-1."""


def field_coded(path: Path, *, packing: Packing, seconds: float = 2, gop: int = 12) -> Path:
    """Write ``path`` (MP4, Matroska or MPEG-TS): 160 x 96, 24 frames per second, two fields each."""
    halves = path.with_name(f"{path.name}.halves.mp4")
    pictures = f"testsrc2=size=160x48:rate={2 * RATE}:duration={seconds},noise=alls=10:all_seed=7"
    run_ffmpeg(*f"-f lavfi -i {pictures} {half_coder(gop)}".split(), str(halves))
    return as_fields(halves, path, packing=packing, gop=gop)


def half_coder(gop: int) -> str:
    """FFmpeg's options for pictures that ``as_fields`` can rewrite, of ``gop`` frames per GOP."""
    options = f"keyint={2 * gop}:min-keyint={2 * gop}:scenecut=0:ref=1:cabac=0:8x8dct=0:weightp=0"
    return f"-c:v libx264 -preset fast -profile:v main -bf 0 -threads 1 -x264-params {options}"


def as_fields(halves: Path, path: Path, *, packing: Packing, gop: int) -> Path:
    """Write ``path``: the pictures of ``halves`` (MP4) as the fields of frames of twice the height."""
    with av.open(str(halves)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        header = stream.codec_context.extradata
        assert header is not None
        end = 8 + int.from_bytes(header[6:8], "big")  # avcC, ISO/IEC 14496-15
        frame_num_bits, sps = _field_sps(header[8:end])
        parameters = START + sps + START + header[end + 3 :]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.codec_context.extradata = parameters
        pictures = [_slice(bytes(packet)) for packet in source.demux(stream) if packet.size]
        fields = [
            START + _field(unit, frame_num_bits, number % (2 * gop) // 2, bottom=number % 2)
            for number, unit in enumerate(pictures)
        ]
        for number in range(0, len(fields) - 1, 2):
            key = number % (2 * gop) == 0
            first, second = (parameters if key else b"") + fields[number], fields[number + 1]
            time = 90_000 * (number // 2) // RATE
            half = 90_000 // RATE // 2
            parts = [(first, time, time), (second, time + half, time + half)]
            if packing == "together":
                parts = [(first + second, time, time)]
            for at, (data, pts, dts) in enumerate(parts):
                packet = av.Packet(data)
                packet.pts = None if at and packing == "apart_without_times" else pts
                packet.dts, packet.time_base, packet.is_keyframe = dts, Fraction(1, 90_000), key and not at
                packet.stream = copied
                target.mux_one(packet)
    return path


def units_of(packet: bytes) -> list[bytes]:
    """The NAL units of a packet with lengths of four bytes."""
    units, at = [], 0
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        units.append(packet[at + 4 : at + 4 + size])
        at += 4 + size
    return units


def _slice(packet: bytes) -> bytes:
    """The only slice of a picture."""
    return next(unit for unit in units_of(packet) if unit[0] & 31 in (_IDR, _SLICE))


def _field_sps(sps: bytes) -> tuple[int, bytes]:
    """Bits of ``frame_num``, and the parameter set of frames of two fields, twice as high (7.3.2.1.1)."""
    bits = BitCopy(sps)
    bits.copy(32)  # NAL header, profile_idc, constraint flags, level_idc
    bits.copy_unsigned()  # seq_parameter_set_id
    frame_num_bits = 4 + bits.copy_unsigned()
    assert bits.copy_unsigned() == 2  # pic_order_cnt_type: without B-frames the slices give no order counts
    bits.copy_unsigned()  # max_num_ref_frames
    bits.copy(1)  # gaps_in_frame_num_value_allowed_flag
    bits.copy_unsigned()  # pic_width_in_mbs_minus1
    bits.copy_unsigned()  # pic_height_in_map_units_minus1
    assert bits.take(1) == "1"  # frame_mbs_only_flag
    bits.written += "00"  # frame_mbs_only_flag, mb_adaptive_frame_field_flag
    bits.take(1)
    bits.written += "1"  # direct_8x8_inference_flag
    return frame_num_bits, bits.finish()


def _field(unit: bytes, frame_num_bits: int, frame_num: int, *, bottom: int) -> bytes:
    """A slice as that of a field (7.3.3); the second field of an IDR picture is none itself."""
    idr = unit[0] & 31 == _IDR
    bits = BitCopy(unit)
    bits.copy(8)  # NAL header
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        bits.copy_unsigned()
    bits.take(frame_num_bits)
    bits.written += f"{frame_num:0{frame_num_bits}b}1{bottom}"  # frame_num, field_pic_flag, bottom_field_flag
    if idr:
        bits.copy_unsigned()  # idr_pic_id
    return bits.finish()


class BitCopy:
    """Copies a NAL unit bit by bit, with changes."""

    def __init__(self, unit: bytes) -> None:
        plain = unit.replace(b"\0\0\3", b"\0\0")
        self._bits = "".join(f"{byte:08b}" for byte in plain)
        self._at = 0
        self.written = ""
        """Zeros and ones of the copy."""

    def take(self, count: int) -> str:
        """Skip bits; the bits."""
        self._at += count
        return self._bits[self._at - count : self._at]

    def copy(self, count: int) -> None:
        """Copy bits."""
        self.written += self.take(count)

    def copy_unsigned(self) -> int:
        """Copy ue(v) (9.1); its value."""
        zeros = self._bits.index("1", self._at) - self._at
        code = self.take(2 * zeros + 1)
        self.written += code
        return int(code, 2) - 1

    def finish(self) -> bytes:
        """The copy, with what was not read yet, as a NAL unit with emulation prevention."""
        self.written += self._bits[self._at :].rstrip("0")  # up to rbsp_stop_one_bit
        self.written += "0" * (-len(self.written) % 8)
        plain = int(self.written, 2).to_bytes(len(self.written) // 8, "big")
        unit, zeros = bytearray(), 0
        for byte in plain:
            if zeros == 2 and byte <= 3:
                unit.append(3)
                zeros = 0
            unit.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(unit)
