"""Digests of frames and files: the same PTS and pixels give the same digest on every machine."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import xxhash

from vbench.video.types import Frames


def frame_digests(frames: Frames) -> list[str]:
    """One hex digest per frame: xxh3_128 over its PTS (int64, little endian) and its bytes."""
    digests = []
    for pts, pixels in zip(frames.pts.tolist(), frames.pixels, strict=True):
        state = xxhash.xxh3_128(pts.to_bytes(8, "little", signed=True))
        state.update(memoryview(pixels).cast("B"))
        digests.append(state.hexdigest())
    return digests


def combine(digests: Iterable[str]) -> str:
    """One hex digest of many hex digests, in the given order: xxh3_128 over their bytes."""
    state = xxhash.xxh3_128()
    for digest in digests:
        state.update(bytes.fromhex(digest))
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """xxh3_128 over a file's bytes, hex; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
