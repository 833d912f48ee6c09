"""Reads bytes of a file at any place, for parsers of container formats."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteFile:
    """A file that is open for reading."""

    path: Path
    descriptor: int
    size: int
    """Bytes."""

    def read(self, at: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``at``; fewer only at the end of the file."""
        return os.pread(self.descriptor, count, at)

    def number(self, at: int, count: int) -> int:
        """An unsigned big-endian number of ``count`` bytes."""
        return int.from_bytes(self.read(at, count), "big")

    def find_any(self, patterns: tuple[bytes, ...], start: int) -> Iterator[int]:
        """The places from ``start`` on, rising within each pattern and block, that begin with a pattern."""
        overlap = max(map(len, patterns)) - 1
        for at in range(start, self.size, _BLOCK):
            block = self.read(at, _BLOCK + overlap)
            for pattern in patterns:
                found = block.find(pattern)
                while found >= 0:
                    if found < _BLOCK:
                        yield at + found
                    found = block.find(pattern, found + 1)


@contextmanager
def open_bytes(path: Path) -> Iterator[ByteFile]:
    """Open ``path`` for reading."""
    with path.open("rb", buffering=0) as opened:
        yield ByteFile(path=path, descriptor=opened.fileno(), size=os.fstat(opened.fileno()).st_size)
