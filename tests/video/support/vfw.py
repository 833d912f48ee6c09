"""Copies a Matroska file as if it came from AVI: its track is V_MS/VFW/FOURCC, whose times are no PTS."""

import struct
from pathlib import Path

_SEGMENT, _TRACKS, _TRACK, _CODEC, _PRIVATE = 0x18538067, 0x1654AE6B, 0xAE, 0x86, 0x63A2
_LEFT_OUT = {0x114D9B74, 0x1C53BB6B}  # SeekHead and Cues: their places would be wrong
_UNKNOWN_LENGTH = (1 << 56) - 1


def as_vfw(path: Path, copy: Path, fourcc: bytes = b"H264", size: tuple[int, int] = (160, 90)) -> Path:
    """Write ``copy``: ``path`` (H.264 of this size in Matroska), with decoding times only."""
    copy.write_bytes(_rewritten(path.read_bytes(), fourcc, size))
    return copy


def _rewritten(content: bytes, fourcc: bytes, size: tuple[int, int]) -> bytes:
    out, at = b"", 0
    while at < len(content):
        name, start = _number(content, at, marked=True)
        length, body = _number(content, start, marked=False)
        end = body + length if length != _UNKNOWN_LENGTH else len(content)
        data = content[body:end]
        if name in (_SEGMENT, _TRACKS, _TRACK):
            data = _rewritten(data, fourcc, size)
        elif name == _CODEC:
            data = b"V_MS/VFW/FOURCC"
        elif name == _PRIVATE:  # BITMAPINFOHEADER
            data = struct.pack("<IIIHH4s20x", 40 + len(data), *size, 1, 24, fourcc) + data
        if name not in _LEFT_OUT:
            out += content[at:start] + (len(data) | 1 << 56).to_bytes(8, "big") + data
        at = end
    return out


def _number(content: bytes, at: int, *, marked: bool) -> tuple[int, int]:
    """A variable-length number (RFC 8794, 4), with its length marker or without; and where it ends."""
    size = 9 - content[at].bit_length()
    value = int.from_bytes(content[at : at + size], "big")
    return (value if marked else value & ((1 << 7 * size) - 1)), at + size
