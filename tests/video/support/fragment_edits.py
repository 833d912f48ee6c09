"""Edits the movie fragments of an MP4 file: which there are, when they start, how they give durations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

SEPARATE = "-movflags +frag_keyframe+empty_moov+separate_moof+default_base_moof"
"""FFmpeg's options for fragments of one track each, which do not refer to places in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A ``moof`` box with the ``mdat`` behind it."""

    track: int
    """Of the first ``traf``."""
    number: int
    """In ``mfhd``."""
    time: int | None
    """In ``tfdt``; None without one."""
    content: bytes

    def at_time(self, ticks: int) -> "Fragment":
        """The same with another start."""
        at = self._in("tfdt")
        size = 8 if self.content[at] else 4
        content = self.content[: at + 4] + ticks.to_bytes(size, "big") + self.content[at + 4 + size :]
        return replace(self, time=ticks, content=content)

    def without_time(self) -> "Fragment":
        """The same with a box of padding in place of ``tfdt``."""
        return replace(self, time=None, content=self.content.replace(b"tfdt", b"free", 1))

    def numbered(self, number: int) -> "Fragment":
        """The same with another number."""
        at = self._in("mfhd") + 4
        content = self.content[:at] + number.to_bytes(4, "big") + self.content[at + 4 :]
        return replace(self, number=number, content=content)

    def _in(self, kind: str) -> int:
        return self.content.index(kind.encode()) + 4


def fragments(path: Path) -> tuple[bytes, list[Fragment]]:
    """What is before the first fragment, and the fragments."""
    content = path.read_bytes()
    boxes = list(_boxes(content))
    moofs = [(at, end) for kind, at, end in boxes if kind == b"moof"]
    found = []
    for at, end in moofs:
        data_end = next(stop for kind, start, stop in boxes if kind == b"mdat" and start >= end)
        found.append(_fragment(content[at:data_end]))
    return content[: moofs[0][0]], found


def edited(path: Path, copy: Path, edit: Callable[[list[Fragment]], list[Fragment]]) -> Path:
    """Write ``copy``: ``path`` with other fragments."""
    head, found = fragments(path)
    copy.write_bytes(head + b"".join(fragment.content for fragment in edit(found)))
    return copy


def _fragment(content: bytes) -> Fragment:
    def number(kind: bytes, at: int, size: int = 4) -> int:
        start = content.index(kind) + 4 + at
        return int.from_bytes(content[start : start + size], "big")

    time = None
    if b"tfdt" in content:
        time = number(b"tfdt", 4, 8 if number(b"tfdt", 0, 1) else 4)
    return Fragment(track=number(b"tfhd", 4), number=number(b"mfhd", 4), time=time, content=content)


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the outermost boxes."""
    at = 0
    while at + 8 <= len(content):
        end = at + int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], at, end
        at = end
