"""The single-process baseline: how fast this machine decodes and infers a video without Ray, on all cores."""

import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vbench.models.protocol import Detector
from vbench.models.registry import create
from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.request_settings import RequestSettings
from vbench.video.digest import frame_digests
from vbench.video.errors import StoppedError
from vbench.video.frames import decode_chunk
from vbench.video.types import Chunk, FrameGeometry, Frames


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleProcessResult:
    """What the single process did, and how long it took."""

    workers: int
    """Threads; each decodes a chunk with one thread of FFmpeg and infers its frames with one of torch."""
    videos: int
    frames: int
    """Of all videos together."""
    video_s: float
    """Seconds of video in all."""
    wall_s: float
    cpu_s: float
    """CPU seconds of the process and of its FFmpegs, user and system."""

    @property
    def frames_per_s(self) -> float:
        """Sampled frames, decoded and inferred, per second."""
        return self.frames / self.wall_s

    @property
    def video_s_per_s(self) -> float:
        """Seconds of video worked on in a second."""
        return self.video_s / self.wall_s


class SingleProcess:
    """The pipeline's own parts in one process: each chunk is decoded and inferred by one worker.

    Same splitter, decoder, detector and arguments as in the service; one worker per core. Frames are not
    hashed, transferred or checked while it is timed.
    """

    def __init__(self, video: Path, args: PipelineArgs, *, workers: int) -> None:
        """Load a detector for each worker; ModelError if that fails."""
        self._video, self._args = video, args
        self._detectors = [create(args.model) for _ in range(workers)]
        for detector in self._detectors:
            detector.load()

    def digests(self) -> list[str]:
        """One digest per sampled frame, in order, from a pass of the workers that is not timed."""
        seen: list[tuple[int, str]] = []

        def hash_all(frames: Frames) -> None:
            seen.extend(zip(frames.pts.tolist(), frame_digests(frames), strict=True))

        self._work(1, hash_all)
        return [digest for _, digest in sorted(seen)]

    def measure(self, videos: int, progress: Callable[[int], None]) -> SingleProcessResult:
        """Work on ``videos`` one after the other, chunk after chunk, and time it.

        ``progress`` is called by any worker's thread with the number of frames done. Raises what splitting
        and decoding raise.
        """
        lock = threading.Lock()
        done = 0

        def count(frames: Frames) -> None:
            nonlocal done
            with lock:
                done += len(frames.pts)
                progress(done)

        before, start_s = os.times(), time.monotonic()
        duration_s = self._work(videos, count)
        wall_s, after = time.monotonic() - start_s, os.times()
        return SingleProcessResult(
            workers=len(self._detectors),
            videos=videos,
            frames=done,
            video_s=videos * duration_s,
            wall_s=wall_s,
            cpu_s=sum(after[:4]) - sum(before[:4]),
        )

    def _work(self, videos: int, see: Callable[[Frames], None]) -> float:
        """Seconds of one video, once all are worked on; the first error of a worker, once all have ended."""
        source = _Source(self._video, self._args, videos)
        stop = threading.Event()

        def work(detector: Detector) -> None:
            try:
                while not stop.is_set() and (taken := source.next()) is not None:
                    chunk, geometry = taken
                    frames = decode_chunk(
                        chunk,
                        geometry,
                        threads=1,
                        timeout_s=self._args.decode_timeout_s,
                        hwaccel=self._args.hwaccel,
                        stop=stop,
                    )
                    detector.detect(frames.pixels)
                    see(frames)
            except StoppedError:  # another worker has failed, and reports why
                return
            except BaseException:
                stop.set()
                raise

        with closing(source), ThreadPoolExecutor(len(self._detectors)) as pool:
            running = [pool.submit(work, detector) for detector in self._detectors]
            try:
                for worker in as_completed(running):
                    worker.result()
            except BaseException:
                stop.set()
                raise
        return source.duration_s


class _Source:
    """Hands the chunks of the videos to whichever worker asks, split as they are asked for."""

    def __init__(self, video: Path, args: PipelineArgs, videos: int) -> None:
        self._lock = threading.Lock()
        self._chunks = self._split(video, args, videos)
        self.duration_s = 0.0

    def next(self) -> tuple[Chunk, FrameGeometry] | None:
        """The next chunk that has frames; None after the last."""
        with self._lock:
            return next(self._chunks, None)

    def close(self) -> None:
        """Close the file, if one is open."""
        self._chunks.close()

    def _split(self, video: Path, args: PipelineArgs, videos: int) -> Generator[tuple[Chunk, FrameGeometry]]:
        for _ in range(videos):
            with RequestSettings.of(ProcessRequest(video=str(video)), args).splitter(video) as splitter:
                self.duration_s = splitter.info.duration_s
                geometry = frame_geometry(args, splitter.info)
                yield from ((chunk, geometry) for chunk in splitter if len(chunk.sampled_pts))
