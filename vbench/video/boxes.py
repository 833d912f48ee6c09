"""Whether a file's outermost boxes are whole: players skip over what is missing, with fewer frames."""

import os
from dataclasses import dataclass
from pathlib import Path

from vbench.video.errors import VideoError

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
"""Element ids of Matroska, RFC 8794 and RFC 9559."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    descriptor: int
    size: int

    def read(self, at: int, count: int) -> bytes:
        return os.pread(self.descriptor, count, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """An EBML element: id, where its content begins, and where it ends, if that is known."""

    id: int
    start: int
    end: int | None


def check_complete(path: Path) -> None:
    """Check that an MP4/MOV file holds all its top-level boxes, a Matroska/WebM file all its blocks.

    Other formats pass: they have no such boxes. So does what follows a Matroska element of unknown length,
    as live recordings have.

    Raises:
        VideoError: the file is truncated, or a box does not end where the next begins.
    """
    with path.open("rb", buffering=0) as opened:
        file = _File(path=path, descriptor=opened.fileno(), size=os.fstat(opened.fileno()).st_size)
        head = file.read(0, 8)
        if head[:4] == _EBML.to_bytes(4, "big"):
            end = _check_matroska(file)
        elif head[4:] == b"ftyp":
            end = _mp4_end(file)
        else:
            return
    if end > file.size:
        raise VideoError(
            f"{path} is truncated: it has {file.size} bytes of the {end} that its headers announce"
        )


def _mp4_end(file: _File) -> int:
    """Where the last top-level box ends (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= file.size:
        header = file.read(at, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():  # 0: to the end; else padding, not a box
            return file.size
        at += length
    return at


def _check_matroska(file: _File) -> int:
    """Where the segment ends, once its clusters were found whole."""
    head = _element(file, 0)
    segment = _element(file, head.end) if head and head.end else None
    if segment is None or segment.id != _SEGMENT or segment.end is None:
        return file.size
    if segment.end > file.size:
        return segment.end
    at = segment.start
    while at < segment.end:
        element = _element(file, at)
        if element is None or (element.end or 0) > segment.end:
            raise VideoError(f"{file.path} is damaged at byte {at}: no Matroska element begins there")
        if element.end is None:
            break
        if element.id == _CLUSTER:
            _check_cluster(file, element.start, element.end)
        at = element.end
    return segment.end


def _check_cluster(file: _File, start: int, end: int) -> None:
    at = start
    while at < end:
        element = _element(file, at)
        if element is None or element.end is None or element.end > end:
            raise VideoError(f"{file.path} is damaged at byte {at}: no Matroska block begins there")
        at = element.end


def _element(file: _File, at: int) -> _Element | None:
    """The element at ``at`` (RFC 8794, 4 and 5); None where none begins."""
    header = file.read(at, 12)  # an id has at most 4 bytes, a length at most 8
    if len(header) < 2 or header[0] < 0x10:
        return None
    body = 9 - header[0].bit_length()
    if body >= len(header) or not header[body]:
        return None
    start = body + 9 - header[body].bit_length()
    bits = 7 * (start - body)
    length = int.from_bytes(header[body:start], "big") & ((1 << bits) - 1)
    end = None if length == (1 << bits) - 1 else at + start + length
    return _Element(id=int.from_bytes(header[:body], "big"), start=at + start, end=end)
