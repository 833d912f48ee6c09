"""Cuts a video into chunks that decode on their own to exactly the frames of the whole; packets only."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
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
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.index.demux import OpenVideo, open_video
from vbench.video.index.edit_list import NO_PTS, payload_times
from vbench.video.probe import read_index
from vbench.video.sampling import bins
from vbench.video.types import Chunk, VideoInfo, VideoLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """What a chunk will hold, known from the index alone."""

    start_s: float
    """The span owned is [start_s, end_s), in seconds from the video's first frame."""
    end_s: float
    targets: npt.NDArray[np.int64]
    """int64[K], rising: pts of the frames to hand out; K may be 0."""


Places = npt.NDArray[np.int64]
"""int64[P], rising: packets by their place in decoding order."""

_MAX_CHUNKS = 1_000_000

MOST_EMPTY_CHUNKS = 25_000
"""Chunks without a frame to hand out, per video: each is in the answer. A video of 6 h in chunks of 1 s has
21,600 chunks."""


class Splitter:
    """Splits one video into chunks of ``chunk_s`` seconds; two streaming passes over the file.

    The first, on construction, reads the index: which frames are wanted, and which packets it takes to
    decode them; ``got_on`` is called each time that it has got on. The second, while iterating, holds only
    the packets that the chunks still to come need.

    A chunk owns the frames shown in ``chunk_s`` seconds, counted from the first frame on. What would hold
    more frames than ``most_frames`` says of this video is cut into several chunks, if it can be where
    decoding starts anew, so that no picture is decoded for two of them.

    A chunk's payload runs from the last clean place to start decoding at or before its first target, to the
    last packet in decoding order that holds a target. With ``prune`` it leaves out what these frames do not
    need: pictures that no other refers to, and in each GOP what follows the last target. With
    ``keyframes_only`` keyframes stand for the frames asked for, see ``Index.targets``.

    Raises:
        VideoError: the video cannot be read or is not sound.
        VideoTooLargeError: it passes one of ``limits``, or has more than ``MOST_EMPTY_CHUNKS``.
    """

    info: VideoInfo
    targets: npt.NDArray[np.int64]
    """int64[K], rising: pts of the frames to hand out, over the whole video."""
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
        most_frames: Callable[[VideoInfo], int | None] | None = None,
        limits: VideoLimits | None = None,
        got_on: Callable[[], None] | None = None,
    ) -> None:
        if chunk_s <= 0:
            raise ValueError(f"chunk_s is {chunk_s}: it must be above 0")
        self._limits = limits or VideoLimits()
        self._chunk_s = Fraction(chunk_s)
        self.info, self._index = read_index(path, self._limits, got_on)
        self.targets = self._index.targets(self.info, Fraction(fps), keyframes_only=keyframes_only)
        shown = np.flatnonzero(self._index.shown)
        self._by_pts = shown[np.argsort(self._index.pts[shown], kind="stable")]
        self._shown_pts = self._index.pts[self._by_pts]
        self._entries = np.flatnonzero(self._index.clean)
        self._prune = prune
        self.plan = tuple(self._by_seconds())
        most = most_frames(self.info) if most_frames else None
        if most is not None:
            self.plan = tuple(part for whole in self.plan for part in self._parts(whole, most))
        self._passes: list[Generator[Chunk]] = []

    @property
    def chunk_count(self) -> int:
        """How many chunks the video has; those without a frame to hand out are counted."""
        return len(self.plan)

    @cached_property
    def coded_bytes(self) -> tuple[int, ...]:
        """Bytes of the packets that each chunk takes, as the index says, in order."""
        return tuple(int(self._index.sizes[self._places(chunk.targets)].sum()) for chunk in self.plan)

    @property
    def coded_bytes_in_all(self) -> int:
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
        """The chunks in order; VideoError where the file is damaged or is no longer what it was."""
        chunks = self._chunks()
        self._passes.append(chunks)
        return chunks

    def _by_seconds(self) -> Iterator[ChunkPlan]:
        """Chunks of ``chunk_s`` seconds; the last is the one that holds the video's last frame."""
        per_tick = self.info.time_base / self._chunk_s
        last = bins(self._shown_pts[-1:], self.info.first_pts, per_tick)
        count = int(last[0]) + 1
        if count > _MAX_CHUNKS:
            raise ValueError(
                f"chunk_s is {self._chunk_s}: {count} chunks are too many, {_MAX_CHUNKS} at most"
            )
        owners = bins(self.targets, self.info.first_pts, per_tick)
        empty = count - len(np.unique(owners))
        if empty > MOST_EMPTY_CHUNKS:
            raise VideoTooLargeError(
                f"{self.info.path} would have {count} chunks of {float(self._chunk_s):g} s, {empty} of them "
                f"without a frame to look at, and at most {MOST_EMPTY_CHUNKS} may have none: ask for longer "
                "chunks (chunk_s)"
            )
        cuts = np.searchsorted(owners, np.arange(count + 1))
        for number in range(count):
            yield ChunkPlan(
                start_s=float(number * self._chunk_s),
                end_s=min(float((number + 1) * self._chunk_s), self.info.duration_s),
                targets=self.targets[cuts[number] : cuts[number + 1]],
            )

    def _parts(self, whole: ChunkPlan, most: int) -> Iterator[ChunkPlan]:
        """``whole`` in parts of at most ``most`` targets, in order.

        Each is as long as it may be, up to where decoding starts anew; a GOP of more targets is cut all the
        same.
        """
        left, start_s = whole.targets, whole.start_s
        while len(left) > most:
            fresh = np.flatnonzero(np.diff(self._entry_counts(left[: most + 1]))) + 1
            cut = int(fresh[-1]) if len(fresh) else most
            end_s = self.info.time_s(int(left[cut]))
            yield ChunkPlan(start_s=start_s, end_s=end_s, targets=left[:cut])
            left, start_s = left[cut:], end_s
        yield ChunkPlan(start_s=start_s, end_s=whole.end_s, targets=left)

    def _entry_counts(self, targets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64[K]: for each target how many clean places could start its decoding."""
        by_place = np.searchsorted(self._entries, self._holding(targets), "right")
        by_pts = np.searchsorted(self._index.pts[self._entries], targets, "right")
        return np.minimum(by_place, by_pts)

    def _holding(self, targets: npt.NDArray[np.int64]) -> Places:
        """int64[K]: the packet that holds each target, in the order of these."""
        return self._by_pts[np.searchsorted(self._shown_pts, targets)]

    def _chunks(self) -> Generator[Chunk]:
        taken = [self._places(chunk.targets) for chunk in self.plan]
        prefixes = self._index.state.prefixes(taken)
        keep_from = _keep_from(taken)
        wanted = np.zeros(len(self._index.pts), np.bool_)
        for places in taken:
            wanted[places] = True
        held: deque[tuple[int, Packet[VideoStream]]] = deque()
        with open_video(Path(self.info.path), self._limits) as video:
            arriving = self._arriving(video)
            for index, (places, oldest) in enumerate(zip(taken, keep_from, strict=True)):
                while held and held[0][0] < oldest:
                    held.popleft()
                while len(places) and (not held or held[-1][0] < places[-1]):
                    place, packet = next(arriving)
                    if place >= oldest and wanted[place]:
                        held.append((place, packet))
                own = set(places.tolist())
                packets = [item for item in held if item[0] in own] if own else []
                yield self._chunk(index, video, packets, prefixes[index])

    def _arriving(self, video: OpenVideo) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Packets with their place in decoding order, each checked against the index."""
        for place, packet in enumerate(video.packets()):
            known = int(self._index.pts[place]) if place < len(self._index.pts) else None
            if known != (NO_PTS if packet.pts is None else packet.pts):
                raise VideoError(f"{video.path} changed while it was read: leave it as it is, and try again")
            yield place, packet
        raise VideoError(f"{video.path} became shorter while it was read: leave it as it is, and try again")

    def _places(self, targets: npt.NDArray[np.int64]) -> Places:
        """The packets it takes to decode these targets; the last holds one of them."""
        if len(targets) == 0:
            return np.zeros(0, np.int64)
        index = self._index
        holding = self._holding(targets)
        holding = np.union1d(holding, index.completed_at[holding])
        first_needed = int(holding.min())
        entries = self._entries[: np.searchsorted(self._entries, first_needed, "right")]
        # What an entry leads is shown before it and not exact from there, so the entry must not be later
        # than the first target. Only pictures that lead the first entry of all have no such entry.
        exact = np.flatnonzero(index.pts[entries] <= targets[0])
        first = int(entries[exact[-1] if len(exact) else 0])
        places = np.arange(first, int(holding.max()) + 1)
        kept = ~index.needless[places]
        if self._prune:
            kept &= self._needed(places, holding)
        return places[kept]

    def _needed(self, places: Places, holding: Places) -> npt.NDArray[np.bool_]:
        """bool[P]: which of consecutive ``places`` hold targets (``holding``) or what these may refer to."""
        index = self._index
        gop = np.cumsum(index.resets[places])
        last = np.full(gop[-1] + 1, -1)
        np.maximum.at(last, gop[holding - places[0]], holding)
        needed = ~index.unreferenced[places] & (places <= last[gop])
        needed[holding - places[0]] = True
        # Decoding starts at the clean place, whether or not it is referred to.
        needed[0] = True
        return needed

    def _chunk(
        self,
        index: int,
        video: OpenVideo,
        taken: list[tuple[int, Packet[VideoStream]]],
        prefixes: dict[int, bytes],
    ) -> Chunk:
        plan = self.plan[index]
        payload, shift, payload_pts = np.zeros(0, np.uint8), 0, None
        if taken:
            places = np.array([place for place, _ in taken])
            pts = payload_times(self._index, places)
            by_position = {at: prefixes[place] for at, (place, _) in enumerate(taken) if place in prefixes}
            packets = [packet for _, packet in taken]
            payload, shift = to_nut(video.stream, packets, pts.tolist(), by_position)
            if not np.array_equal(pts, self._index.pts[places]):
                holding = np.searchsorted(places, self._holding(plan.targets))
                payload_pts = pts[holding] + shift
        return Chunk(
            info=self.info,
            index=index,
            start_s=plan.start_s,
            end_s=plan.end_s,
            targets=plan.targets,
            payload=payload,
            pts_shift=shift,
            payload_pts=payload_pts,
            packets=len(taken),
        )


def _keep_from(taken: list[Places]) -> list[int]:
    """For each chunk, the first packet that it or any later chunk needs."""
    need, oldest = [], 2**63
    for places in reversed(taken):
        oldest = min(oldest, int(places[0])) if len(places) else oldest
        need.append(oldest)
    return need[::-1]
