"""Gives the video track of an MP4 file another edit list (ISO/IEC 14496-12, 8.6.6)."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

EMPTY = -1.0
"""In place of a segment's start: nothing is shown."""

Segment = tuple[float, float]
"""Seconds: where a segment starts in the track, and how long it lasts."""


def with_edit_list(path: Path, copy: Path, segments: Sequence[Segment], *, rate: float = 1) -> Path:
    """Write ``copy``: ``path``, whose ``moov`` is its last box, with these segments."""
    content = path.read_bytes()
    kept = b"".join(content[at:end] for kind, at, _, end in _boxes(content) if kind != b"moov")
    moov = next(content[start:end] for kind, _, start, end in _boxes(content) if kind == b"moov")
    mvhd = next(moov[start:end] for kind, _, start, end in _boxes(moov) if kind == b"mvhd")
    movie_scale = int.from_bytes(mvhd[12:16], "big")
    parts = [
        _box(kind, _track(moov[start:end], segments, rate, movie_scale)) if kind == b"trak" else moov[at:end]
        for kind, at, start, end in _boxes(moov)
    ]
    copy.write_bytes(kept + _box(b"moov", b"".join(parts)))
    return copy


def _track(trak: bytes, segments: Sequence[Segment], rate: float, movie_scale: int) -> bytes:
    mdia = next(trak[start:end] for kind, _, start, end in _boxes(trak) if kind == b"mdia")
    mdhd = next(mdia[start:end] for kind, _, start, end in _boxes(mdia) if kind == b"mdhd")
    scale = int.from_bytes(mdhd[12:16], "big")
    entries = b"".join(
        struct.pack(
            ">Iii",
            round(length_s * movie_scale),
            -1 if start_s == EMPTY else round(start_s * scale),
            round(rate * 65536),
        )
        for start_s, length_s in segments
    )
    edits = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(segments)) + entries))
    parts = [
        trak[at:end] + (edits if kind == b"tkhd" else b"")
        for kind, at, _, end in _boxes(trak)
        if kind != b"edts"
    ]
    return b"".join(parts)


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Type, begin, begin of the content, and end of each box."""
    at = 0
    while at + 8 <= len(content):
        end = at + int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], at, at + 8, end
        at = end


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content
