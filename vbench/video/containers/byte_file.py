"""Reads bytes of a file at any offset, for parsers of container formats."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteFile:
    """An open file."""

    path: Path
    descriptor: int
    size: int
    """Size in bytes."""

    def read(self, at: int, count: int) -> bytes:
        """Up to ``count`` bytes from offset ``at``; fewer only at the end of the file."""
        return os.pread(self.descriptor, count, at)

    def number(self, at: int, count: int) -> int:
        """An unsigned big-endian number of ``count`` bytes."""
        return int.from_bytes(self.read(at, count), "big")

    def find_any(self, patterns: tuple[bytes, ...], start: int) -> Iterator[int]:
        """Offsets from ``start`` on at which a pattern begins; increasing within each pattern and 1 MiB
        block."""
        overlap = max(map(len, patterns)) - 1
        for at in range(start, self.size, _BLOCK):
            block = self.read(at, _BLOCK + overlap)
            for pattern in patterns:
                offset = block.find(pattern)
                while offset >= 0:
                    if offset < _BLOCK:
                        yield at + offset
                    offset = block.find(pattern, offset + 1)


@contextmanager
def open_bytes(path: Path) -> Iterator[ByteFile]:
    """Open ``path`` for reading."""
    with path.open("rb", buffering=0) as opened:
        yield ByteFile(path=path, descriptor=opened.fileno(), size=os.fstat(opened.fileno()).st_size)
