"""Rewrites HEVC so that decoders do not hand some pictures out (``pic_output_flag``, ITU-T H.265 7.3.6.1)."""

import re
import subprocess
from collections.abc import Container
from itertools import pairwise
from pathlib import Path

from tests.video.support.fields import BitCopy, units_of
from tests.video.support.joins import in_band_sets, join
from vbench.video.ffmpeg.executable import ffmpeg_path

X265 = (
    "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=3:"
    "open-gop=0:pools=1:no-wpp=1:no-info=1"
)
PPS = 34
_FIELD = re.compile(r"\] +(\d+) +(slice_type|alignment_bit_equal_to_one) +([01]+) = ")


def with_output_flags(path: Path, copy: Path, unshown: Container[int]) -> Path:
    """Write ``copy``: ``path``, coded with ``X265``, without output of these pictures (in decoding order)."""
    traced = subprocess.run(
        [ffmpeg_path(), "-hide_banner", "-v", "verbose", "-i", str(path), "-c", "copy", "-bsf:v",
         "trace_headers", "-f", "null", "-"], capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    places = [(int(at), name, len(code)) for at, name, code in _FIELD.findall(traced)]
    flags = [at + length for at, name, length in places if name == "slice_type"]
    ends = [after[0] for before, after in pairwise(places) if before[1] == "slice_type"]
    sets = b"".join(_framed(_with_flag(unit)) for unit in units_of(in_band_sets(path)))

    def edit(number: int, packet: bytes) -> bytes:
        units = [unit for unit in units_of(packet) if unit[0] >> 1 & 63 < 32]
        assert len(units) == 1
        shown = _with_output_flag(units[0], flags[number], ends[number], is_output=number not in unshown)
        return sets * (number == 0) + _framed(shown)

    return join(path, None, copy, edit)


def _with_flag(unit: bytes) -> bytes:
    """A parameter set; one of pictures with ``output_flag_present_flag``."""
    if unit[0] >> 1 & 63 != PPS:
        return unit
    bits = BitCopy(unit)
    bits.copy(16)
    bits.copy_unsigned()
    bits.copy_unsigned()
    bits.copy(1)  # dependent_slice_segments_enabled_flag
    assert bits.take(1) == "0"
    bits.written += "1"
    return bits.finish()


def _with_output_flag(unit: bytes, flag_at: int, end: int, *, is_output: bool) -> bytes:
    """A slice with the flag after ``slice_type``, its data aligned again."""
    bits = BitCopy(unit)
    bits.copy(flag_at)
    bits.written += str(int(is_output))
    bits.copy(end - flag_at)
    bits.take(8 - end % 8)  # byte_alignment
    bits.written += "1"
    bits.written += "0" * (-len(bits.written) % 8)
    return bits.finish()


def _framed(unit: bytes) -> bytes:
    return len(unit).to_bytes(4, "big") + unit
