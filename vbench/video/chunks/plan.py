"""Plans the chunks of a video from its index: the time span and the sampled frames that each chunk owns."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vbench.video.chunks.packet_selection import PacketSelection
from vbench.video.errors import VideoTooLargeError
from vbench.video.sampling import bins
from vbench.video.types import VideoInfo

MAX_CHUNKS = 1_000_000

MAX_EMPTY_CHUNKS = 25_000
"""Chunks without a sampled frame, per video: each is in the response. A video of 6 h in chunks of 1 s has
21,600 chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """What a chunk will hold, known from the index alone."""

    start_s: float
    """The chunk owns [start_s, end_s), in seconds from the video's first frame."""
    end_s: float
    sampled_pts: npt.NDArray[np.int64]
    """int64[K], increasing: PTS of the frames to output; K may be 0."""


def plan_by_time(
    info: VideoInfo, sampled_pts: npt.NDArray[np.int64], last_pts: int, chunk_s: Fraction
) -> Iterator[ChunkPlan]:
    """Chunks of ``chunk_s`` seconds; the last one holds the video's last frame.

    Args:
        info: facts about the video.
        sampled_pts: int64[K], increasing: PTS of the frames to output, over the whole video.
        last_pts: PTS of the last presented frame.
        chunk_s: seconds per chunk, above 0.

    Raises:
        ValueError: the video would have more than ``MAX_CHUNKS`` chunks.
        VideoTooLargeError: more than ``MAX_EMPTY_CHUNKS`` chunks would have no sampled frame.
    """
    chunks_per_tick = info.time_base / chunk_s
    count = int(bins(np.array([last_pts]), info.first_pts, chunks_per_tick)[0]) + 1
    if count > MAX_CHUNKS:
        raise ValueError(
            f"chunk_s={chunk_s} is too short: the video would have {count} chunks, {MAX_CHUNKS} are allowed; "
            "use a larger chunk_s"
        )
    owners = bins(sampled_pts, info.first_pts, chunks_per_tick)
    empty = count - len(np.unique(owners))
    if empty > MAX_EMPTY_CHUNKS:
        raise VideoTooLargeError(
            f"{info.path} would have {count} chunks of {float(chunk_s):g} s, {empty} of them without a "
            f"sampled frame; at most {MAX_EMPTY_CHUNKS} empty chunks are allowed: use longer chunks (chunk_s)"
        )
    bounds = np.searchsorted(owners, np.arange(count + 1))
    for number in range(count):
        yield ChunkPlan(
            start_s=float(number * chunk_s),
            end_s=min(float((number + 1) * chunk_s), info.duration_s),
            sampled_pts=sampled_pts[bounds[number] : bounds[number + 1]],
        )


def divide(
    chunk: ChunkPlan, info: VideoInfo, selection: PacketSelection, max_frames: int
) -> Iterator[ChunkPlan]:
    """The chunk in parts of at most ``max_frames`` sampled frames each, in order.

    Each part is as long as possible and ends where the next random access point takes over, so that no
    picture is decoded twice. A GOP with more sampled frames is divided anyway.
    """
    rest, start_s = chunk.sampled_pts, chunk.start_s
    while len(rest) > max_frames:
        counts = selection.random_access_counts(rest[: max_frames + 1])
        boundaries = np.flatnonzero(np.diff(counts)) + 1
        cut = int(boundaries[-1]) if len(boundaries) else max_frames
        end_s = info.time_s(int(rest[cut]))
        yield ChunkPlan(start_s=start_s, end_s=end_s, sampled_pts=rest[:cut])
        rest, start_s = rest[cut:], end_s
    yield ChunkPlan(start_s=start_s, end_s=chunk.end_s, sampled_pts=rest)
