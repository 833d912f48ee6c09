"""Digests of frames: the same pts and pixels give the same digest, on every machine."""

from collections.abc import Iterable

import xxhash

from vbench.video.types import Frames


def frame_digests(frames: Frames) -> list[str]:
    """One hex digest a frame: xxh3_128 over its pts (int64, little endian) and its rgb24 bytes."""
    digests = []
    for pts, pixels in zip(frames.pts.tolist(), frames.pixels, strict=True):
        state = xxhash.xxh3_128(pts.to_bytes(8, "little", signed=True))
        state.update(memoryview(pixels).cast("B"))
        digests.append(state.hexdigest())
    return digests


def combine(digests: Iterable[str]) -> str:
    """One hex digest of many, in the order given: xxh3_128 over their bytes."""
    state = xxhash.xxh3_128()
    for digest in digests:
        state.update(bytes.fromhex(digest))
    return state.hexdigest()
