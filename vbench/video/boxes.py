"""Whether a file ends before its outermost boxes say so: a truncated download plays, with fewer frames."""

import os
from pathlib import Path
from typing import IO

from vbench.video.errors import VideoError

_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT = bytes.fromhex("18538067")
"""Element ids of Matroska, RFC 8794 and RFC 9559."""


def check_complete(path: Path) -> None:
    """Check that an MP4/MOV or Matroska/WebM file holds all the bytes its outermost boxes claim.

    Other formats have no such boxes and pass.

    Raises:
        VideoError: the file is truncated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        end = (
            _matroska_end(file)
            if head[:4] == _EBML
            else _mp4_end(file, size)
            if head[4:8] == b"ftyp"
            else size
        )
    if end > size:
        raise VideoError(f"{path} is truncated: it has {size} bytes of the {end} that its headers announce")


def _mp4_end(file: IO[bytes], size: int) -> int:
    """Where the last top-level box ends (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():  # 0: to the end of the file; else padding, not a box
            return size
        at += length
    return at


def _matroska_end(file: IO[bytes]) -> int:
    """Where the segment ends; the file's end where its length is unknown, as in a live recording."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(len(_EBML))
    length = _vint(file)
    file.seek(length or 0, os.SEEK_CUR)
    if length is None or file.read(4) != _SEGMENT:
        return size
    length = _vint(file)
    return size if length is None else file.tell() + length


def _vint(file: IO[bytes]) -> int | None:
    """An EBML length (RFC 8794, 4); None where it is unknown or broken."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    rest = file.read(extra)
    bits = 7 * (extra + 1)
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return None if len(rest) < extra or value == (1 << bits) - 1 else value
