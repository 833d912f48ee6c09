"""Walks the boxes of an MP4 or MOV file (ISO/IEC 14496-12, 4.2)."""

import os
from collections.abc import Iterator

MAX_HEADER_BYTES = 256 << 20
"""Bytes of a file's header that are read."""

_MAX_BOXES = 100_000


def movie_header(descriptor: int, size: int) -> bytes:
    """The content of the ``moov`` box of an open file of ``size`` bytes; empty without one."""
    for kind, start, end in _outermost(descriptor, size):
        if kind == b"moov":
            return os.pread(descriptor, min(end - start, MAX_HEADER_BYTES), start)
    return b""


def data_boxes(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Start and end of the content of each ``mdat`` box of an open file."""
    return [(start, end) for kind, start, end in _outermost(descriptor, size) if kind == b"mdat"]


def _outermost(descriptor: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each outermost box, at most ``_MAX_BOXES``."""
    at = 0
    for _ in range(_MAX_BOXES):
        header = os.pread(descriptor, 16, at)
        if len(header) < 8:
            return
        length, start = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(header[8:16], "big"), 16
        length = length or size - at
        if length < start:
            return
        yield header[4:8], at + start, min(at + length, size)
        at += length


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each box in ``data[start:end]``."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        length = length or end - at
        if length < header:
            return
        yield data[at + 4 : at + 8], at + header, min(at + length, end)
        at += length


def descend(data: bytes, start: int, end: int, *kinds: bytes) -> tuple[int, int] | None:
    """Start and end of the content of a nested box; ``kinds`` are the types from the outermost to the
    innermost.

    None if there is none; at each level, the first box of its type counts.
    """
    for kind in kinds:
        content = next(((a, b) for k, a, b in boxes(data, start, end) if k == kind), None)
        if content is None:
            return None
        start, end = content
    return start, end


def track_id(movie: bytes, start: int, end: int) -> int | None:
    """The id in a track's header (``tkhd``, 8.3.2); None without one."""
    header = descend(movie, start, end, b"tkhd")
    if header is None:
        return None
    at = header[0] + (20 if movie[header[0]] == 1 else 12)
    return int.from_bytes(movie[at : at + 4], "big")
