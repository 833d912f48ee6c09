"""Edits the boxes of an MP4 clip whose ``moov`` box is its last: tables, chunks, sample descriptions."""

import struct
from collections.abc import Sequence
from pathlib import Path

Box = tuple[bytes, "bytes | list[Box]"]
"""A type, and the content: bytes, or boxes."""

_WITH_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex")
_VIDEO_ENTRY_BYTES = 78
"""Of a VisualSampleEntry before its own boxes (ISO/IEC 14496-12, 12.1.3)."""


class Movie:
    """The boxes of a clip; the video is its first track."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.boxes = parse(self.content)

    def table(self, kind: bytes) -> bytes:
        """The content of a box of the video's sample table."""
        return next(
            content for name, content in self._tables() if name == kind and isinstance(content, bytes)
        )

    def replace(self, kind: bytes, *contents: bytes) -> None:
        """Put boxes of a kind with these contents in place of those in the video's sample table."""
        tables = self._tables()
        at = next((at for at, (name, _) in enumerate(tables) if name == kind), len(tables))
        tables[:] = [box for box in tables if box[0] != kind]
        tables[at:at] = [(kind, content) for content in contents]

    def numbers(self, kind: bytes) -> tuple[int, ...]:
        """The numbers in a table, behind version, flags and count."""
        content = self.table(kind)
        return struct.unpack(f">{len(content) // 4 - 2}I", content[8:])

    def samples(self) -> list[bytes]:
        """The video's samples, in decoding order."""
        sizes, starts, runs = self.numbers(b"stsz")[1:], self.numbers(b"stco"), self.numbers(b"stsc")
        per_chunk = dict(zip(runs[::3], runs[1::3], strict=True))
        found: list[bytes] = []
        count = 0
        for chunk, at in enumerate(starts, start=1):
            count = per_chunk.get(chunk, count)
            for _ in range(count):
                size = sizes[len(found)]
                found.append(self.content[at : at + size])
                at += size  # noqa: PLW2901 - the next one begins where this one ends
        return found

    def put_samples(
        self,
        samples: Sequence[bytes],
        *,
        per_chunk: int,
        order: Sequence[int] | None = None,
        descriptions: Sequence[int] | None = None,
    ) -> None:
        """Give the file these samples of video, in an ``mdat`` box of their own.

        Args:
            samples: as many as there are, in decoding order.
            per_chunk: how many of them a chunk holds.
            order: of the chunks in the file.
            descriptions: the number of each chunk's sample description, from 1 on.
        """
        chunks = [b"".join(samples[at : at + per_chunk]) for at in range(0, len(samples), per_chunk)]
        at = 8 + sum(len(serialise([box])) for box in self.boxes if box[0] != b"moov")
        places = [0] * len(chunks)
        data = b""
        for number in order or range(len(chunks)):
            places[number] = at + len(data)
            data += chunks[number]
        runs = [
            (
                number + 1,
                min(per_chunk, len(samples) - number * per_chunk),
                descriptions[number] if descriptions else 1,
            )
            for number in range(len(chunks))
        ]
        self.replace(b"stsz", struct.pack(f">III{len(samples)}I", 0, 0, len(samples), *map(len, samples)))
        self.replace(b"stco", struct.pack(f">II{len(places)}I", 0, len(places), *places))
        self.replace(
            b"stsc", struct.pack(">II", 0, len(runs)) + b"".join(struct.pack(">3I", *r) for r in runs)
        )
        moov = next(at for at, (kind, _) in enumerate(self.boxes) if kind == b"moov")
        self.boxes.insert(moov, (b"mdat", data))

    def entry(self) -> bytes:
        """The first sample description of the video, as a box."""
        table = self.table(b"stsd")
        return table[8 : 8 + int.from_bytes(table[8:12], "big")]

    def describe(self, *entries: bytes) -> None:
        """Give the video these sample descriptions."""
        self.replace(b"stsd", struct.pack(">II", 0, len(entries)) + b"".join(entries))

    def write(self, path: Path) -> Path:
        """Write ``path``."""
        path.write_bytes(serialise(self.boxes))
        return path

    def track(self) -> "list[Box]":
        """The boxes of the video's track."""
        return inside(inside(self.boxes, b"moov"), b"trak")

    def _tables(self) -> "list[Box]":
        return inside(inside(inside(self.track(), b"mdia"), b"minf"), b"stbl")


def inside(boxes: "list[Box]", kind: bytes) -> "list[Box]":
    """The boxes in the first one of a kind."""
    return next(content for name, content in boxes if name == kind and isinstance(content, list))


def parse(content: bytes) -> "list[Box]":
    """The boxes in ``content``."""
    found: list[Box] = []
    at = 0
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        inner = content[at + 8 : at + size]
        found.append((kind, parse(inner) if kind in _WITH_BOXES else inner))
        at += size
    return found


def serialise(boxes: "list[Box]") -> bytes:
    """``parse`` the other way round."""
    return b"".join(
        box(kind, serialise(content) if isinstance(content, list) else content) for kind, content in boxes
    )


def box(kind: bytes, content: bytes) -> bytes:
    """A box."""
    return struct.pack(">I", len(content) + 8) + kind + content


def with_own_boxes(entry: bytes, *own: bytes) -> bytes:
    """A sample description of video with more boxes, behind those that it has."""
    return box(entry[4:8], entry[8:] + b"".join(own))


def own_boxes(entry: bytes) -> "list[Box]":
    """The boxes in a sample description of video."""
    return parse(entry[8 + _VIDEO_ENTRY_BYTES :])


def with_boxes(entry: bytes, boxes: "list[Box]") -> bytes:
    """A sample description of video with these boxes in place of its own."""
    return box(entry[4:8], entry[8 : 8 + _VIDEO_ENTRY_BYTES] + serialise(boxes))
