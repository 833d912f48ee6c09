"""How long a frame takes to decode and to infer by itself: what measured requests are held against."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from vbench.models.protocol import Detector
from vbench.pipeline.job import Job as RequestJob
from vbench.record import Request, SpanLine
from vbench.validity.work_done import STAGES, compute_per_frame_s
from vbench.video.frames import decode_chunk
from vbench.video.types import FrameGeometry

T = TypeVar("T")

LONGEST_CHUNK_S = Fraction(20)
"""A longer chunk would say the same, and take longer to say it."""

RUNS = 2


def compute_alone_s(
    request: RequestJob, video: Path, geometry: FrameGeometry, detector: Detector
) -> dict[str, float]:
    """Stage -> seconds of compute per frame, for one chunk of ``video`` and one batch of its frames.

    The faster of two runs, so that the first one's extra work does not count. The detector must be loaded.
    Empty for a video without frames to sample. Raises VideoError for a chunk that cannot be decoded.
    """
    args = request.args
    short = replace(request, chunk_s=min(request.chunk_s, LONGEST_CHUNK_S))
    with short.splitter(video) as splitter:
        chunk = next((chunk for chunk in splitter if len(chunk.targets)), None)
    if chunk is None:
        return {}
    decode_s, frames = _fastest(
        lambda: decode_chunk(
            chunk,
            geometry,
            threads=args.ffmpeg_threads,
            timeout_s=args.decode_timeout_s,
            hwaccel=args.hwaccel,
            stop=threading.Event(),
        )
    )
    # A full batch: what a frame costs in a smaller one is more.
    batch = np.resize(frames.pixels, (args.model.batch_size, *frames.pixels.shape[1:]))
    infer_s, _ = _fastest(lambda: detector.detect(batch))
    return {"decode": decode_s / len(frames.pts), "infer": infer_s / len(batch)}


def _fastest(work: Callable[[], T]) -> tuple[float, T]:
    seconds = []
    for _ in range(RUNS):
        began_s = time.monotonic()
        result = work()
        seconds.append(time.monotonic() - began_s)
    return min(seconds), result


def compute_first_s(requests: Sequence[Request], spans: Sequence[SpanLine]) -> Mapping[str, float]:
    """Stage -> seconds of compute per frame of the slowest of these requests, which are the warm-up's: at
    least one of them cannot have been answered from what an earlier one left."""
    found = {}
    for stage in STAGES:
        seconds = [value for _, value in compute_per_frame_s(stage, requests, spans)]
        if seconds:
            found[stage] = max(seconds)
    return found
