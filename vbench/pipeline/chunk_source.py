"""A request's chunks, read by a Splitter on its own thread, so that the service's event loop stays free."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from vbench.pipeline.memory_budget import FramesBudget
from vbench.video.reader.pool import SplitVideo
from vbench.video.types import Chunk

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A chunk (None after the last), and the unix seconds at which the splitter started and finished it."""

    chunk: Chunk | None
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSpan:
    """What the response says of a chunk, without its packets."""

    index: int
    start_s: float
    end_s: float
    targets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """Of ``chunk``."""
        return cls(index=chunk.index, start_s=chunk.start_s, end_s=chunk.end_s, targets=chunk.sampled_pts)


class ChunkSource:
    """Async context manager around a Splitter; VideoError from opening it and from each chunk.

    Cancelling stops it after the chunk it is at: the file is closed before the context is left.
    """

    def __init__(
        self, opened: Callable[[threading.Event], AbstractContextManager[SplitVideo]], packets: FramesBudget
    ) -> None:
        """``opened``: opens the video; it gets an event that is set when the request is cancelled.
        ``packets``: how many bytes of coded pictures all requests may hold between split and decoded."""
        self._opened = opened
        self._packets = packets
        self._held: list[Callable[[], None]] = []
        """One per chunk so far: releases the bytes that it holds."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="split")
        self._stop = threading.Event()
        self._open_now = ExitStack()
        self._splitter: SplitVideo | None = None
        self.opened_end_s = 0.0
        """Unix seconds at which the video was open."""

    @property
    def splitter(self) -> SplitVideo:
        """The open splitter: its facts may be read, its chunks come from ``next``."""
        if self._splitter is None:
            raise RuntimeError("the source is not open: use it as an async context manager")
        return self._splitter

    async def next(self) -> Timed:
        """The next chunk, in order, once there is room for its packets; they are held until ``decoded``."""
        sizes, number = self.splitter.coded_bytes, len(self._held)
        if number < len(sizes):
            self._held.append(await self._packets.take(sizes[number]))
            if not len(self.splitter.plan[number].sampled_pts):  # the reader is not used, so no thread waits
                await asyncio.sleep(0)
                return self._next()
        return await self._on_thread(self._next)

    def decoded(self, chunk: int) -> None:
        """The packets of a chunk are no longer needed."""
        self._held[chunk]()

    async def __aenter__(self) -> Self:
        try:
            await self._on_thread(self._open)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self._splitter = self._open_now.enter_context(self._opened(self._stop))
        self._chunks = iter(self._splitter)
        self.opened_end_s = time.time()

    def _next(self) -> Timed:
        start_s = time.time()
        chunk = next(self._chunks, None)
        return Timed(chunk=chunk, start_s=start_s, end_s=time.time())

    async def _close(self) -> None:
        """On the same thread, so after its current work."""
        self._stop.set()
        try:
            await self._on_thread(self._open_now.close)
        finally:
            for give_back in self._held:
                give_back()
            self._thread.shutdown(wait=False)
