"""Reads videos in processes of their own, which have limits and end when nobody wants the video any more."""

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
from vbench.video.errors import VideoError
from vbench.video.reader.messages import Order
from vbench.video.reader.process import Reader
from vbench.video.split import ChunkPlan
from vbench.video.types import Chunk, VideoInfo, VideoLimits

INDEX_BYTES = 1 << 30
"""Address space of a reader while it reads the index, the program's own 0.2 GB included."""
COPIES = 3
"""A chunk's bytes while it is made: its packets, the payload, and room for the payload to grow."""


@dataclass(kw_only=True)
class SplitVideo:
    """A video that another process splits; what a ``Splitter`` says of it, and its chunks."""

    info: VideoInfo
    targets: npt.NDArray[np.int64]
    plan: tuple[ChunkPlan, ...]
    coded_bytes: tuple[int, ...]
    """Bytes of the packets of each chunk, as the index says."""
    chunks: Callable[[], Iterator[Chunk]]

    @property
    def chunk_count(self) -> int:
        """How many chunks the video has; those without a frame to hand out are counted."""
        return len(self.plan)

    def __iter__(self) -> Iterator[Chunk]:
        """The chunks in order, once; VideoError and its kinds, StoppedError."""
        return self.chunks()


class ReaderServer:
    """The process that forks readers. It starts with the first video, and anew if it was lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the process, if there is none: it is ready in about half a second, and videos wait for it."""
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
        called: str | None = None,
        most_frames: Callable[[VideoInfo], int | None],
        chunk_bytes: int,
        stop: threading.Event,
    ) -> Iterator[SplitVideo]:
        """The video at ``path``, split as ``Splitter`` does with ``options``, while the block runs.

        Args:
            path: of the file. The reader gets it open, and no name.
            options: arguments of ``Splitter``; among them ``limits``.
            called: what messages and facts call the video; None: its path.
            most_frames: as Splitter's.
            chunk_bytes: largest chunk that is needed; bounds the reader's memory.
            stop: ends the reader when another thread sets it.

        Raises:
            VideoError: the video cannot be read or is not sound.
            VideoTooLargeError: it passes a limit, or takes more memory or CPU time than a reader may.
            StoppedError: ``stop`` was set.
        """
        limits: VideoLimits = options["limits"]
        called = called or str(path)
        reader = Reader(called, limits, stop)
        memory = INDEX_BYTES + COPIES * chunk_bytes
        order = Order(
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
                    raise VideoError(f"{called} cannot be read: {error.strerror}") from error
                try:
                    self._pass_on(theirs, video)
                finally:
                    os.close(video)
            reader.begin(ours)
            stack.callback(reader.end)
            reader.ask(pickle.dumps(order))
            kind, value = reader.next()
            if kind == "info":
                most = most_frames(reader.named(value))
                reader.ask(str("none" if most is None else most).encode())
                kind, value = reader.next()
            if kind != "planned":
                raise reader.lost()
            info, targets, parts, coded_bytes = value
            video_info, plan = reader.named(info), _plan(targets, parts)
            yield SplitVideo(
                info=video_info,
                targets=targets,
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


def _plan(targets: npt.NDArray[np.int64], parts: list[tuple[float, float, int]]) -> tuple[ChunkPlan, ...]:
    plan, at = [], 0
    for start_s, end_s, count in parts:
        plan.append(ChunkPlan(start_s=start_s, end_s=end_s, targets=targets[at : at + count]))
        at += count
    return tuple(plan)


def _chunks(reader: Reader, info: VideoInfo, plan: Sequence[ChunkPlan]) -> Iterator[Chunk]:
    """The chunks of the plan, in order; the reader is asked only for those that have frames."""
    reader.reads_chunks = True
    for index, part in enumerate(plan):
        if not len(part.targets):
            yield _empty(index, info, part)
            continue
        reader.ask(b"next")
        kind, value = reader.next()
        if kind != "chunk" or not isinstance(value, Chunk) or value.index != index:
            raise reader.lost()
        yield replace(value, info=info)


def _empty(index: int, info: VideoInfo, part: ChunkPlan) -> Chunk:
    return Chunk(
        info=info,
        index=index,
        start_s=part.start_s,
        end_s=part.end_s,
        targets=part.targets,
        payload=np.zeros(0, np.uint8),
        pts_shift=0,
        packets=0,
    )
