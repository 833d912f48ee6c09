"""What vbench's service makes of a file: split into chunks, each decoded by itself."""

import re
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tests.video.differential.plain import picture_name
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

ALL = Fraction(1000)
"""Frames a second that leave none out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the service is asked."""

    fps: Fraction
    chunk_s: Fraction
    prune: bool

    @property
    def reads_all(self) -> bool:
        """Whether every picture of the file is decoded."""
        return self.fps == ALL and not self.prune


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it."""

    refusal: str | None
    """The VideoError's sentence, with the path as FILE."""
    frames: list[tuple[int, str]]
    """(pts, picture), in order."""


def ask(path: Path, way: Way) -> Answer:
    """The frames of the service's own path, as large as they are coded."""
    frames: list[tuple[int, str]] = []
    try:
        with Splitter(path, fps=way.fps, chunk_s=way.chunk_s, prune=way.prune) as splitter:
            geometry = FrameGeometry.native(splitter.info)
            for chunk in splitter:
                decoded = decode_chunk(chunk, geometry, threads=1, timeout_s=60)
                for pts, picture in zip(decoded.pts, decoded.pixels, strict=True):
                    checksum = zlib.adler32(np.ascontiguousarray(picture).data, 0)
                    frames.append((int(pts), picture_name(picture.shape[1], picture.shape[0], checksum)))
            return Answer(refusal=None, frames=frames)
    except VideoError as error:
        sentence = re.sub(r"chunk \d+ of ", "", str(error)).replace(str(path), "FILE")
        return Answer(refusal=sentence, frames=[])


class Service:
    """Asks in a process of its own: an abort in a C library fails one question and not the test run."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, path: Path, way: Way, question: Callable[[Path, Way], Answer] = ask) -> Answer:
        """What ``question`` answers; RuntimeError if the process died of it."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self._pool.submit(question, path, way).result(timeout=120)
        except BrokenProcessPool as error:
            self.close()
            raise RuntimeError(f"the process that read {path} died") from error

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
