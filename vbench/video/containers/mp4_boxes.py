"""Walks the boxes of an MP4/MOV file's header."""

import os
from collections.abc import Iterator

MOST_HEADER_BYTES = 256 << 20
"""Of a file's header that is looked at."""

_MOST_BOXES = 100_000


def movie_header(descriptor: int, size: int) -> bytes:
    """The content of the ``moov`` box of an open file; empty without one."""
    for kind, start, end in _outermost(descriptor, size):
        if kind == b"moov":
            return os.pread(descriptor, min(end - start, MOST_HEADER_BYTES), start)
    return b""


def data_boxes(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Start and end of the content of each ``mdat`` box of an open file."""
    return [(start, end) for kind, start, end in _outermost(descriptor, size) if kind == b"mdat"]


def _outermost(descriptor: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box of a file, up to a bound of their number."""
    at = 0
    for _ in range(_MOST_BOXES):
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
    """Kind, start and end of the content of each box in ``data[start:end]`` (ISO/IEC 14496-12, 4.2)."""
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
    """Start and end of the content of the first box of the first kind, in it of the second, and so on."""
    for kind in kinds:
        found = next(((a, b) for k, a, b in boxes(data, start, end) if k == kind), None)
        if found is None:
            return None
        start, end = found
    return start, end


def track_id(movie: bytes, start: int, end: int) -> int | None:
    """The id in a track's header (``tkhd``); None without one."""
    header = descend(movie, start, end, b"tkhd")
    if header is None:
        return None
    at = header[0] + (20 if movie[header[0]] == 1 else 12)
    return int.from_bytes(movie[at : at + 4], "big")
