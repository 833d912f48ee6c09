"""Checks that the tables of an MP4/MOV track agree on its samples, and that these are in the file's data.

With a damaged table, libavformat goes on with fewer samples or other bytes, without an error. Sections are
those of ISO/IEC 14496-12.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vbench.video.containers.mp4_boxes import boxes, data_boxes, descend, movie_header, track_id
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.types import VideoLimits

_Numbers = npt.NDArray[np.int64]
_CHUNK_OFFSETS = (b"stco", b"co64")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """The content of the boxes of one track's sample table (8.5 to 8.7), by type."""

    path: Path
    content: dict[bytes, bytes]

    def numbers(self, kind: bytes, columns: int) -> _Numbers:
        """int64[N, columns]: a table of 32-bit numbers after their count; empty without the box."""
        content = self.content.get(kind, bytes(8))
        count = int.from_bytes(content[4:8], "big")
        if len(content) < 8 + 4 * columns * count:
            room = (len(content) - 8) // (4 * columns)
            raise _damaged(
                self.path, f"its {_named(kind)} announces {count} entries but has room for {max(0, room)}"
            )
        return np.frombuffer(content, ">u4", columns * count, 8).astype(np.int64).reshape(-1, columns)

    def offsets(self) -> _Numbers:
        """int64[C]: byte offset of each chunk."""
        if b"co64" not in self.content:
            return self.numbers(b"stco", 1)[:, 0]
        pairs = self.numbers(b"co64", 2)
        if len(pairs) and pairs[:, 0].max() >= 1 << 31:
            raise _damaged(self.path, "its co64 table has an impossibly high chunk offset")
        return pairs[:, 0] << 32 | pairs[:, 1]

    def count(self) -> int:
        """Number of samples in the table of sizes."""
        content = self.content.get(b"stz2", self.content.get(b"stsz", b""))
        return int.from_bytes(content[8:12], "big")

    def sizes(self) -> _Numbers:
        """int64[N]: size of each sample in bytes."""
        if b"stz2" in self.content:
            return self._compact_sizes(self.content[b"stz2"])
        content = self.content.get(b"stsz", bytes(12))
        same, count = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
        if same:
            return np.full(count, same, np.int64)
        if len(content) < 12 + 4 * count:
            raise _damaged(
                self.path, f"its stsz table announces {count} samples but has {(len(content) - 12) // 4}"
            )
        return np.frombuffer(content, ">u4", count, 12).astype(np.int64)

    def _compact_sizes(self, content: bytes) -> _Numbers:
        bits, count = content[7], int.from_bytes(content[8:12], "big")
        if bits not in (4, 8, 16) or len(content) < 12 + (count * bits + 7) // 8:
            raise _damaged(self.path, f"its stz2 table does not have {count} samples of {bits} bits")
        if bits == 16:
            return np.frombuffer(content, ">u2", count, 12).astype(np.int64)
        values = np.frombuffer(content, np.uint8, offset=12)
        if bits == 4:
            values = np.stack([values >> 4, values & 15], axis=1).ravel()
        return values[:count].astype(np.int64)


def check_sample_table(path: Path, track: int, limits: VideoLimits) -> npt.NDArray[np.int64] | None:
    """Check one track of an MP4/MOV file; other files, and tracks that are all in fragments, pass.

    Args:
        path: the file.
        track: the track's id.
        limits: a track with more samples than ``max_packets`` is refused.

    Returns:
        int64[N]: byte offset of each sample that is in no fragment, in decoding order; None if the file has
        no such table.

    Raises:
        VideoError: two tables disagree, or a sample is not in the file's data.
        VideoTooLargeError: the track has too many samples.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(8)[4:].isalnum():
            movie = movie_header(file.fileno(), size)
            tables = _tables(path, movie, track)
            if tables is not None:
                if tables.count() > limits.max_packets:
                    raise VideoTooLargeError(
                        f"{path} is too long: it has more than {limits.max_packets} packets, the most that "
                        "are allowed; cut it into parts"
                    )
                sizes = _check_counts(tables)
                if len(sizes):
                    return _check_offsets(tables, sizes, data_boxes(file.fileno(), size))
                return np.zeros(0, np.int64)
    return None


def _tables(path: Path, movie: bytes, track: int) -> _Tables | None:
    for kind, start, end in boxes(movie):
        if kind == b"trak" and track_id(movie, start, end) == track:
            table = descend(movie, start, end, b"mdia", b"minf", b"stbl")
            if table is None:
                return None
            return _Tables(path=path, content=_effective(movie, *table))
    return None


def _effective(movie: bytes, start: int, end: int) -> dict[bytes, bytes]:
    """The content of each box that FFmpeg uses: of several chunk tables the first, of other tables the
    last."""
    content: dict[bytes, bytes] = {}
    for kind, at, until in boxes(movie, start, end):
        first_holds = _CHUNK_OFFSETS if kind in _CHUNK_OFFSETS else (b"stsc",) if kind == b"stsc" else ()
        if not any(name in content for name in first_holds):
            content[kind] = movie[at:until]
    return content


def _check_counts(tables: _Tables) -> _Numbers:
    """int64[N]: the samples' sizes, after checking that all tables have as many samples."""
    path, sizes = tables.path, tables.sizes()
    count = len(sizes)
    for kind in (b"stts", b"ctts"):
        if kind in tables.content and (count or kind == b"ctts"):
            timed = int(tables.numbers(kind, 2)[:, 0].sum())
            if timed != count and not (kind == b"ctts" and timed == 0):
                raise _damaged(
                    path, f"its {_named(kind)} has {timed} samples, its table of sizes has {count}"
                )
    keyframes = tables.numbers(b"stss", 1)[:, 0]
    if len(keyframes) and (
        np.diff(keyframes).min(initial=1) < 1 or keyframes[0] < 1 or keyframes[-1] > count
    ):
        raise _damaged(path, f"its table of keyframes (stss) does not increase within 1 to {count}")
    return sizes


def _check_offsets(tables: _Tables, sizes: _Numbers, data: list[tuple[int, int]]) -> _Numbers:
    """int64[N]: byte offset of each sample, after checking that all are in the file's data."""
    path, starts = tables.path, tables.offsets()
    per_chunk = _samples_per_chunk(tables, len(starts))
    total = int(per_chunk.sum())
    if total != len(sizes):
        raise _damaged(
            path, f"its chunks (stsc, stco) have {total} samples, its table of sizes has {len(sizes)}"
        )
    first = np.cumsum(per_chunk) - per_chunk
    before = np.concatenate([[0], np.cumsum(sizes)])
    in_chunk = before[:-1] - np.repeat(before[first], per_chunk)
    begin: _Numbers = np.repeat(starts, per_chunk) + in_chunk
    end = begin + sizes
    inside = np.zeros(len(sizes), np.bool_)
    for low, high in data:
        inside |= (begin >= low) & (end <= high)
    outside = np.flatnonzero(~inside)
    if len(outside):
        at = int(outside[0])
        raise _damaged(
            path, f"sample {at + 1} of its video (bytes {begin[at]} to {end[at]}) is outside its data (mdat)"
        )
    order = np.lexsort((end, begin))
    shared = (begin[order][1:] == begin[order][:-1]) & (end[order][1:] == end[order][:-1])
    overlaps = np.flatnonzero((begin[order][1:] < end[order][:-1]) & ~shared)
    if len(overlaps):
        earlier, later = sorted(order[overlaps[0] : overlaps[0] + 2].tolist())
        raise _damaged(path, f"samples {earlier + 1} and {later + 1} of its video overlap")
    return begin


def _samples_per_chunk(tables: _Tables, chunks: int) -> _Numbers:
    """int64[C]: number of samples in each chunk (8.7.4)."""
    path, runs = tables.path, tables.numbers(b"stsc", 3)
    if len(runs) == 0:
        raise _damaged(path, "its table of samples per chunk (stsc) is empty")
    first, samples, description = runs.T
    if first[0] != 1 or np.diff(first).min(initial=1) < 1 or first[-1] > chunks:
        raise _damaged(path, f"its table of samples per chunk (stsc) does not increase within 1 to {chunks}")
    if samples.min() < 1:
        raise _damaged(path, "its table of samples per chunk (stsc) has a chunk without samples")
    described = int.from_bytes(tables.content.get(b"stsd", bytes(8))[4:8], "big")
    if description.min() < 1 or description.max() > described:
        raise _damaged(
            path, f"its table of samples per chunk (stsc) names a sample description outside 1 to {described}"
        )
    return np.repeat(samples, np.diff(np.append(first, chunks + 1)))


def _named(kind: bytes) -> str:
    words = {b"stts": "table of durations", b"ctts": "table of time offsets", b"stss": "table of keyframes"}
    return f"{words.get(kind, 'table')} ({kind.decode()})"


def _damaged(path: Path, what: str) -> VideoError:
    return VideoError(f"{path} has a damaged index: {what}; export it again from the source")
