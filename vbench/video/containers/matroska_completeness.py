"""Checks that a Matroska or WebM file is complete, down to the blocks of its clusters."""

from dataclasses import dataclass

from vbench.video.containers.byte_file import ByteFile
from vbench.video.containers.ebml import HEADER_BYTES, element_at
from vbench.video.errors import VideoError
from vbench.video.remedies import COPY_AGAIN

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_CUES, _TAGS, _SEEK_HEAD, _INFO, _TRACKS = 0x1C53BB6B, 0x1254C367, 0x114D9B74, 0x1549A966, 0x1654AE6B
_ATTACHMENTS, _CHAPTERS = 0x1941A469, 0x1043A770
"""Element ids of Matroska, RFC 8794 and RFC 9559."""

_OUTER = {_EBML, _SEGMENT, _CLUSTER, _CUES, _TAGS, _SEEK_HEAD, _INFO, _TRACKS, _ATTACHMENTS, _CHAPTERS}
"""Elements that end a cluster of unknown length, as in live recordings (RFC 8794, 6.2)."""

_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0xEC, 0xBF}
"""Elements of a cluster: times, positions, blocks, padding and checksums (RFC 9559, 5.1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """An EBML element: its id, and the byte offsets at which its content begins and, if known, ends."""

    id: int
    start: int
    end: int | None


def recognises(file: ByteFile) -> bool:
    """Whether the file begins like Matroska."""
    return file.number(0, 4) == _EBML


def check(file: ByteFile) -> None:
    """Check the segment, its clusters and their blocks.

    Raises:
        VideoError: the file is truncated, or an element does not end where the next begins.
    """
    head = _element(file, 0)
    segment = _element(file, head.end) if head and head.end else None
    if segment is None or segment.id != _SEGMENT:
        return
    if segment.end is not None and segment.end > file.size:
        raise _truncated(file, segment.end)
    at, end = segment.start, file.size if segment.end is None else segment.end
    while at < end:
        element = _element(file, at)
        if element is None or (element.end or 0) > end:
            _check_remainder(file, at, element, known=segment.end is not None)
            return
        if element.id == _CLUSTER:
            at = _cluster_end(file, element.start, element.end, end)
        elif element.end is None:
            return
        else:
            at = element.end


def _check_remainder(file: ByteFile, at: int, element: _Element | None, *, known: bool) -> None:
    """Judge what stands where an element should begin, or does not fit into its parent."""
    if known:
        raise VideoError(
            f"{file.path} is damaged at byte {at}: no Matroska element begins there; {COPY_AGAIN}"
        )
    if element is not None and element.id in _OUTER and element.end:
        raise _truncated(file, element.end)
    if any(True for _ in file.find_any((_CLUSTER.to_bytes(4, "big"),), at + 1)):
        raise VideoError(
            f"{file.path} is damaged at byte {at}: no Matroska element begins there; {COPY_AGAIN}"
        )


def _cluster_end(file: ByteFile, start: int, end: int | None, limit: int) -> int:
    """Where the cluster ends, after checking its blocks; ``end`` is None if its length is unknown."""
    at = start
    while at < (limit if end is None else end):
        element = _element(file, at)
        if end is None and element is not None and element.id in _OUTER:
            return at
        if end is None and element is not None and element.end is not None and element.end > limit:
            if element.id not in _IN_CLUSTER:
                return at
            raise _truncated(file, element.end)
        if element is None or element.end is None or element.end > (limit if end is None else end):
            if end is None and element is None:
                return at
            raise VideoError(
                f"{file.path} is damaged at byte {at}: no Matroska block begins there; {COPY_AGAIN}"
            )
        at = element.end
    return at


def _truncated(file: ByteFile, end: int) -> VideoError:
    return VideoError(
        f"{file.path} is truncated: it has {file.size} of the {end} bytes that its headers announce; "
        f"{COPY_AGAIN}"
    )


def _element(file: ByteFile, at: int) -> _Element | None:
    """The element at offset ``at`` of the file; None if none begins there."""
    header = element_at(file.read(at, HEADER_BYTES), 0)
    if header is None:
        return None
    name, start, length = header
    end = None if length is None else at + start + length
    return _Element(id=int.from_bytes(name, "big"), start=at + start, end=end)
