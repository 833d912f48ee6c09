"""Splits videos in separate processes with limits, which end when nobody wants the video any more."""

import math
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vbench.video.child_environment import child_environment
from vbench.video.chunks.plan import ChunkPlan
from vbench.video.errors import VideoError
from vbench.video.reader.messages import ReadRequest
from vbench.video.reader.process import ReaderProcess
from vbench.video.types import Chunk, VideoInfo, VideoLimits

INDEX_BYTES = 1 << 30
"""Address space of a reader while it reads the index, including 0.2 GB for the program itself."""
COPIES = 3
"""How often a chunk's bytes are in memory while it is made: packets, payload, and room for it to grow."""


@dataclass(kw_only=True)
class SplitVideo:
    """A video that another process splits: what a ``Splitter`` knows of it, and its chunks."""

    info: VideoInfo
    sampled_pts: npt.NDArray[np.int64]
    plan: tuple[ChunkPlan, ...]
    coded_bytes: tuple[int, ...]
    """Bytes of the packets of each chunk, as the index says."""
    chunks: Callable[[], Iterator[Chunk]]

    @property
    def chunk_count(self) -> int:
        """Number of chunks, including those without a sampled frame."""
        return len(self.plan)

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks in order, once.

        Raises:
            VideoError: the file is damaged or has changed.
            StoppedError: nobody wants the video any more.
        """
        return self.chunks()


class ReaderServer:
    """The process that forks readers. It starts with the first video, and again if it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the process unless it runs: it takes about half a second, for which the first video would
        wait."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the process and its readers."""
        with self._lock:
            self._lose()

    @contextmanager
    def split(
        self,
        path: Path,
        options: dict[str, Any],
        *,
        display_name: str | None = None,
        max_frames: Callable[[VideoInfo], int | None],
        chunk_bytes: int,
        stop: threading.Event,
    ) -> Iterator[SplitVideo]:
        """The video at ``path``, split as ``Splitter`` does with ``options``, while the block runs.

        Args:
            path: of the file. The reader gets an open file, not its name.
            options: arguments of ``Splitter``; among them ``limits``.
            display_name: what messages and facts call the video; None: its path.
            max_frames: as for ``Splitter``.
            chunk_bytes: size of the largest chunk; bounds the reader's memory.
            stop: ends the reader when another thread sets it.

        Raises:
            VideoError: the video cannot be read or is damaged.
            VideoTooLargeError: it exceeds a limit, or takes more memory or CPU time than a reader may.
            StoppedError: ``stop`` was set.
        """
        limits: VideoLimits = options["limits"]
        display_name = display_name or str(path)
        reader = ReaderProcess(display_name, limits, stop)
        memory = INDEX_BYTES + COPIES * chunk_bytes
        request = ReadRequest(
            options=options,
            cpu_s=math.ceil(limits.max_read_s),
            stall_s=math.ceil(limits.max_stall_s),
            index_bytes=INDEX_BYTES,
            chunk_bytes=memory,
        )
        with ExitStack() as stack:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            with theirs:
                try:
                    video = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError as error:
                    raise VideoError(f"{display_name} cannot be read: {error.strerror}") from error
                try:
                    self._pass_on(theirs, video)
                finally:
                    os.close(video)
            reader.wait_until_started(ours)
            stack.callback(reader.kill)
            reader.send(pickle.dumps(request))
            kind, value = reader.receive()
            if kind == "info":
                most = max_frames(reader.renamed(value))
                reader.send(str("none" if most is None else most).encode())
                kind, value = reader.receive()
            if kind != "planned":
                raise reader.exit_error()
            info, sampled_pts, parts, coded_bytes = value
            video_info, plan = reader.renamed(info), _plan(sampled_pts, parts)
            yield SplitVideo(
                info=video_info,
                sampled_pts=sampled_pts,
                plan=plan,
                coded_bytes=coded_bytes,
                chunks=lambda: _chunks(reader, video_info, plan),
            )

    def _pass_on(self, connection: socket.socket, video: int) -> None:
        with self._lock:
            for last in (False, True):
                try:
                    socket.send_fds(self._started(), [b"read"], [connection.fileno(), video])
                except OSError:
                    if last:
                        raise
                    self._lose()
                else:
                    return

    def _lose(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def _started(self) -> socket.socket:
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._lose()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            paths = os.pathsep.join(str(Path(path or ".").absolute()) for path in sys.path)
            environment = child_environment() | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "vbench.video.reader.server", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=environment,
                )
            self._control = ours
        return self._control


def _plan(sampled_pts: npt.NDArray[np.int64], parts: list[tuple[float, float, int]]) -> tuple[ChunkPlan, ...]:
    plan, at = [], 0
    for start_s, end_s, count in parts:
        plan.append(ChunkPlan(start_s=start_s, end_s=end_s, sampled_pts=sampled_pts[at : at + count]))
        at += count
    return tuple(plan)


def _chunks(reader: ReaderProcess, info: VideoInfo, plan: Sequence[ChunkPlan]) -> Iterator[Chunk]:
    """The chunks of the plan, in order; only those with frames come from the reader."""
    reader.reads_chunks = True
    for index, part in enumerate(plan):
        if not len(part.sampled_pts):
            yield _empty(index, info, part)
            continue
        reader.send(b"next")
        kind, value = reader.receive()
        if kind != "chunk" or not isinstance(value, Chunk) or value.index != index:
            raise reader.exit_error()
        yield replace(value, info=info)


def _empty(index: int, info: VideoInfo, part: ChunkPlan) -> Chunk:
    return Chunk(
        info=info,
        index=index,
        start_s=part.start_s,
        end_s=part.end_s,
        sampled_pts=part.sampled_pts,
        payload=np.zeros(0, np.uint8),
        pts_shift=0,
        packets=0,
    )
