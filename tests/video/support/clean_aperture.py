"""Gives an MP4 clip a ``clap`` box: what part of its pictures a player shows (ISO/IEC 14496-12, 12.1.4)."""

import struct
from pathlib import Path


def with_clean_aperture(path: Path, out: Path, *numbers: int) -> Path:
    """A clip with a ``clap`` box: width, height, how far right and down its centre is, in half pixels.

    Its video is the first track, and its ``mdat`` box is before its ``moov`` box, so no sample moves.
    """
    width, height, right, down = numbers
    clap = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, right, 2, down, 2)
    data = bytearray(path.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov")
    entry = data.index(b"stsd", data.index(b"moov")) + 12
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    kinds = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    for at in (entry, *(data.index(kind, data.index(b"moov")) - 4 for kind in kinds)):
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(clap)).to_bytes(4, "big")
    out.write_bytes(data[:end] + clap + data[end:])
    return out
