"""Checks that the boxes of an MP4 or MOV file follow each other up to the end, also within fragments.

Sections are those of ISO/IEC 14496-12.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vbench.video.containers.byte_file import ByteFile
from vbench.video.containers.fragments import FragmentSequence
from vbench.video.errors import VideoError
from vbench.video.remedies import COPY_AGAIN

_OPENING = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot", b"moof", b"sidx", b"uuid"}
"""Types of boxes that a file may begin with (ISO/IEC 14496-12; QuickTime File Format)."""

_KNOWN = _OPENING | {b"mfra", b"meta", b"udta", b"ssix", b"prft", b"emsg", b"pdin", b"PICT", b"junk", b"imda"}
"""Types of boxes that must be complete; a box of another type that exceeds the file is no box."""

_MAX_TABLE_BYTES = 8 << 20
"""Largest table of durations that is read: a million runs, far more than a file with fragments begins
with."""

_WITH_SAMPLES = (b"moof", b"mdat", b"moov")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box: its type, and the byte offsets at which its content begins and ends."""

    kind: bytes
    start: int
    end: int


def recognises(file: ByteFile) -> bool:
    """Whether the file begins with a box of MP4 or MOV."""
    return file.read(4, 4) in _OPENING


def check(file: ByteFile) -> FragmentSequence:
    """Check the outermost boxes, and those within each movie fragment.

    Returns:
        The movie fragments.

    Raises:
        VideoError: a box is truncated; a box does not end where the next begins; or a fragment is damaged.
    """
    fragments = FragmentSequence(file.path)
    at = 0
    while at + 8 <= file.size:
        box = _box(file, at, file.size)
        if box is None or (box.end > file.size and box.kind not in _KNOWN):
            _check_no_boxes_follow(file, at)
            break
        if box.end > file.size:
            raise VideoError(
                f"{file.path} is truncated: it has {file.size} of the {box.end} bytes that its headers "
                f"announce; {COPY_AGAIN}"
            )
        if box.kind == b"moov":
            _add_movie(file, box, fragments)
        elif box.kind == b"moof":
            _add_fragment(file, box, fragments)
        at = box.end
    return fragments


def _add_movie(file: ByteFile, moov: Box, fragments: FragmentSequence) -> None:
    """Record what a file with fragments states ahead of them: defaults, and samples outside of fragments."""
    extension = next(_parts_named(file, moov, b"mvex"), None)
    if extension is None:
        return
    for defaults in _parts_named(file, extension, b"trex"):
        fragments.add_defaults(file.read(defaults.start, 24))
    for track in _parts_named(file, moov, b"trak"):
        header = next(_parts_named(file, track, b"tkhd"), None)
        table: Box | None = track
        for kind in (b"mdia", b"minf", b"stbl", b"stts"):
            table = next(_parts_named(file, table, kind), None) if table else None
        if header is not None and table is not None and table.end - table.start <= _MAX_TABLE_BYTES:
            track_id = file.number(header.start + (20 if file.number(header.start, 1) == 1 else 12), 4)
            content = file.read(table.start + 8, max(table.end - table.start - 8, 0))
            runs = np.frombuffer(content, ">u4", len(content) // 8 * 2).astype(np.int64).reshape(-1, 2)
            fragments.add_samples(track_id, int(runs[:, 0].sum()), int((runs[:, 0] * runs[:, 1]).sum()))


def _add_fragment(file: ByteFile, moof: Box, fragments: FragmentSequence) -> None:
    sequence, tracks = None, []
    for part in _strict_parts(file, moof):
        if part.kind == b"mfhd":
            sequence = file.number(part.start + 4, 4)
        elif part.kind == b"traf":
            tracks.append([(b.kind, file.read(b.start, b.end - b.start)) for b in _strict_parts(file, part)])
    fragments.add(moof.start - 8, sequence, tracks)


def _strict_parts(file: ByteFile, whole: Box) -> Iterator[Box]:
    """The boxes within a part of a fragment, which must fill it."""
    at = whole.start
    while at < whole.end:
        part = _box(file, at, whole.end)
        if part is None or part.end > whole.end:
            raise VideoError(
                f"{file.path} is damaged at byte {at}: no box of a movie fragment begins there; {COPY_AGAIN}"
            )
        yield part
        at = part.end


def _parts_named(file: ByteFile, whole: Box, kind: bytes) -> Iterator[Box]:
    """The boxes of one type within another box, up to the first bytes that are no box."""
    at = whole.start
    while at + 8 <= whole.end:
        part = _box(file, at, whole.end)
        if part is None or part.end > whole.end:
            return
        if part.kind == kind:
            yield part
        at = part.end


def _box(file: ByteFile, at: int, limit: int) -> Box | None:
    """The box at offset ``at`` (4.2); None if none begins there."""
    header = file.read(at, 16)
    length, kind, start = int.from_bytes(header[:4], "big"), header[4:8], 8
    if len(kind) < 4 or not all(0x20 <= letter < 0x7F or letter == 0xA9 for letter in kind):
        return None
    if length == 1:
        length, start = int.from_bytes(header[8:], "big"), 16
    elif length == 0:  # up to the end, which only data and padding may
        if kind not in _KNOWN:
            return None
        length = limit - at
    if length < start:
        return None
    return Box(kind=kind, start=at + start, end=at + length)


def _check_no_boxes_follow(file: ByteFile, at: int) -> None:
    """Distinguish other bytes after the last box from a broken chain of boxes."""
    for type_at in file.find_any(_WITH_SAMPLES, at + 4):
        box = _box(file, type_at - 4, file.size)
        if box is not None and box.end <= file.size and file.number(type_at - 4, 4) != 0:
            raise VideoError(
                f"{file.path} is damaged at byte {at}: no box begins there, "
                f"although '{box.kind.decode()}' follows at byte {type_at - 4}; {COPY_AGAIN}"
            )
