"""Splits a video into chunks that decode on their own to exactly the frames of the whole; copies packets."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from collections import deque
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.chunks.nut import to_nut
from vbench.video.chunks.packet_selection import PacketIndices, PacketSelection
from vbench.video.chunks.plan import ChunkPlan, divide, plan_by_time
from vbench.video.errors import VideoError
from vbench.video.index.demux import OpenVideo, open_video
from vbench.video.index.edit_list import unique_pts
from vbench.video.index.packet_index import NO_PTS
from vbench.video.probe import read_index
from vbench.video.types import Chunk, VideoInfo, VideoLimits


class Splitter:
    """Splits one video into chunks of ``chunk_s`` seconds, in two streaming passes over the file.

    The constructor makes the first pass: it reads the index, and works out which frames are sampled and which
    packets each chunk needs. Iterating makes the second pass, which keeps only the packets that chunks still
    to come need.

    A chunk owns the frames that are presented in its ``chunk_s`` seconds, counted from the video's first
    frame. Its payload runs from the last random access point at or before its first sampled frame to the last
    packet, in decoding order, with a sampled frame.

    Args:
        path: the video file, or its ``file:`` URI.
        fps: frames per second to sample, see ``sampling.sampled``.
        chunk_s: seconds per chunk, above 0.
        prune: whether to leave out packets that no sampled frame depends on, see ``PacketSelection``.
        keyframes_only: whether keyframes replace the sampled frames, see ``PacketIndex.sampled_pts``.
        max_frames: returns the most sampled frames that a chunk of this video may have, or None. A chunk with
            more is divided, preferably at a random access point, so that no picture is decoded twice.
        limits: what to refuse.
        on_progress: called every ``PROGRESS_PACKETS`` packets of the first pass.

    Raises:
        ValueError: ``chunk_s`` or ``fps`` is out of range.
        VideoError: the video cannot be read or is damaged.
        VideoTooLargeError: it exceeds one of ``limits``, or has more than ``MAX_EMPTY_CHUNKS`` empty chunks.
    """

    info: VideoInfo
    sampled_pts: npt.NDArray[np.int64]
    """int64[K], increasing: PTS of the frames to output, over the whole video."""
    plan: tuple[ChunkPlan, ...]
    """What each chunk will hold, in order."""

    def __init__(
        self,
        path: str | Path,
        *,
        fps: Fraction,
        chunk_s: Fraction,
        prune: bool = False,
        keyframes_only: bool = False,
        max_frames: Callable[[VideoInfo], int | None] | None = None,
        limits: VideoLimits | None = None,
        on_progress: Callable[[], None] | None = None,
    ) -> None:
        if chunk_s <= 0:
            raise ValueError(f"chunk_s={chunk_s} is out of range: it must be above 0")
        self._limits = limits or VideoLimits()
        self.info, self._index = read_index(path, self._limits, on_progress)
        self.sampled_pts = self._index.sampled_pts(self.info, Fraction(fps), keyframes_only=keyframes_only)
        self._selection = PacketSelection(self._index, prune=prune)
        plan = tuple(plan_by_time(self.info, self.sampled_pts, self._selection.last_pts, Fraction(chunk_s)))
        most = max_frames(self.info) if max_frames else None
        if most is not None:
            plan = tuple(part for chunk in plan for part in divide(chunk, self.info, self._selection, most))
        self.plan = plan
        self._passes: list[Generator[Chunk]] = []

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """``sampled_pts`` under its former name, which scripts use."""
        return self.sampled_pts

    @property
    def chunk_count(self) -> int:
        """Number of chunks, including those without a sampled frame."""
        return len(self.plan)

    @cached_property
    def coded_bytes(self) -> tuple[int, ...]:
        """Bytes of the packets of each chunk, in order, as the index says."""
        return tuple(
            int(self._index.sizes[self._selection.needed_for(chunk.sampled_pts)].sum()) for chunk in self.plan
        )

    @property
    def total_coded_bytes(self) -> int:
        """Bytes of all packets of the video, as the index says."""
        return int(self._index.sizes.sum())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in self._passes:
            running.close()

    def __iter__(self) -> Generator[Chunk]:
        """The chunks in order; VideoError if the file is damaged or has changed."""
        chunks = self._chunks()
        self._passes.append(chunks)
        return chunks

    def _chunks(self) -> Generator[Chunk]:
        selected = [self._selection.needed_for(chunk.sampled_pts) for chunk in self.plan]
        prefixes = self._index.state.prefixes(selected)
        keep_from = _keep_from(selected)
        wanted = np.zeros(len(self._index.pts), np.bool_)
        for packets in selected:
            wanted[packets] = True
        buffered: deque[tuple[int, Packet[VideoStream]]] = deque()
        with open_video(Path(self.info.path), self._limits) as video:
            arriving = self._checked_packets(video)
            for number, (packets, oldest) in enumerate(zip(selected, keep_from, strict=True)):
                while buffered and buffered[0][0] < oldest:
                    buffered.popleft()
                while len(packets) and (not buffered or buffered[-1][0] < packets[-1]):
                    position, packet = next(arriving)
                    if position >= oldest and wanted[position]:
                        buffered.append((position, packet))
                members = set(packets.tolist())
                chosen = [item for item in buffered if item[0] in members] if members else []
                yield self._chunk(number, video, chosen, prefixes[number])

    def _checked_packets(self, video: OpenVideo) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Packets with their index in decoding order, each checked against the first pass."""
        for position, packet in enumerate(video.packets()):
            known = int(self._index.pts[position]) if position < len(self._index.pts) else None
            if known != (NO_PTS if packet.pts is None else packet.pts):
                raise VideoError(f"{video.path} changed while it was being read: try again when it is final")
            yield position, packet
        raise VideoError(f"{video.path} became shorter while it was being read: try again when it is final")

    def _chunk(
        self,
        number: int,
        video: OpenVideo,
        chosen: list[tuple[int, Packet[VideoStream]]],
        prefixes: dict[int, bytes],
    ) -> Chunk:
        plan = self.plan[number]
        payload, shift, payload_pts = np.zeros(0, np.uint8), 0, None
        if chosen:
            positions = np.array([position for position, _ in chosen])
            pts = unique_pts(self._index, positions)
            by_order = {at: prefixes[index] for at, (index, _) in enumerate(chosen) if index in prefixes}
            packets = [packet for _, packet in chosen]
            payload, shift = to_nut(video.stream, packets, pts.tolist(), by_order)
            if not np.array_equal(pts, self._index.pts[positions]):
                frames = np.searchsorted(positions, self._selection.of_frames(plan.sampled_pts))
                payload_pts = pts[frames] + shift
        return Chunk(
            info=self.info,
            index=number,
            start_s=plan.start_s,
            end_s=plan.end_s,
            sampled_pts=plan.sampled_pts,
            payload=payload,
            pts_shift=shift,
            payload_pts=payload_pts,
            packets=len(chosen),
        )


def _keep_from(selected: list[PacketIndices]) -> list[int]:
    """For each chunk, the index of the first packet that it or any later chunk needs."""
    keep_from, oldest = [], 2**63
    for packets in reversed(selected):
        oldest = min(oldest, int(packets[0])) if len(packets) else oldest
        keep_from.append(oldest)
    return keep_from[::-1]
