"""Measures the least CPU time to decode and to infer a frame, with which measured requests are compared."""

import resource
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.pipeline.request_settings import RequestSettings
from vbench.record.requests import Request, SpanLine
from vbench.validity.work_done import STAGES, compute_per_frame_s
from vbench.video.frames import decode_chunk
from vbench.video.types import FrameGeometry

T = TypeVar("T")

LONGEST_CHUNK_S = Fraction(20)
"""A longer chunk would give the same result, and take longer."""

RUNS = 2

ENOUGH_S = 3.0
"""CPU time of a run after which another would add little."""

CPU_BATCH = 2
"""Frames; on a CPU a frame costs about the same in any batch."""


def compute_alone_s(
    request: RequestSettings, video: Path, geometry: FrameGeometry, settings: ModelSettings
) -> dict[str, float]:
    """Stage -> the least seconds of compute per frame that a replica can take, for one chunk of ``video`` and
    one batch of its frames: their CPU time over the replica's threads.

    CPU time and not time that passed, which other programs stretch without bound; and of one thread, since
    several that wait for each other use CPU time by waiting. Of two runs the one that took less, so that the
    first one's extra work does not count. Empty for a video without frames to sample. Raises VideoError for a
    chunk that cannot be decoded, ModelError for a detector that cannot be loaded.
    """
    args = request.args
    short = replace(request, chunk_s=min(request.chunk_s, LONGEST_CHUNK_S))
    with short.splitter(video) as splitter:
        chunk = next((chunk for chunk in splitter if len(chunk.sampled_pts)), None)
    if chunk is None:
        return {}
    decode_s, frames = _least_cpu(
        lambda: decode_chunk(
            chunk,
            geometry,
            threads=args.ffmpeg_threads,
            timeout_s=args.decode_timeout_s,
            hwaccel=args.hwaccel,
            stop=threading.Event(),
        )
    )
    detector = create(settings)
    detector.load()
    # A GPU needs a full batch to show the least that a frame costs, and a compiled network fills batches up.
    whole = settings.device != "cpu" or settings.compile
    count = args.model.batch_size if whole else min(args.model.batch_size, CPU_BATCH)
    batch = np.resize(frames.pixels, (count, *frames.pixels.shape[1:]))
    infer_s, _ = _least_cpu(lambda: detector.detect(batch))
    return {
        # This process takes the frames in while FFmpeg works.
        "decode": decode_s / len(frames.pts) / (args.ffmpeg_threads + 1),
        "infer": infer_s / len(batch) / args.inference.threads,
    }


def _least_cpu(work: Callable[[], T]) -> tuple[float, T]:
    seconds = []
    for _ in range(RUNS):
        began_s = _cpu_s()
        result = work()
        seconds.append(_cpu_s() - began_s)
        if seconds[-1] > ENOUGH_S:
            break
    return min(seconds), result


def _cpu_s() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compute_first_s(requests: Sequence[Request], spans: Sequence[SpanLine]) -> Mapping[str, float]:
    """Stage -> seconds of compute per frame of the slowest of these requests, which are the warm-up's: at
    least one of them cannot have been answered from what an earlier one left."""
    first_s = {}
    for stage in STAGES:
        seconds = [value for _, value in compute_per_frame_s(stage, requests, spans)]
        if seconds:
            first_s[stage] = max(seconds)
    return first_s
