"""Selects the packets that a decoder needs for given frames of a video."""

import numpy as np
import numpy.typing as npt

from vbench.video.index.packet_index import PacketIndex

PacketIndices = npt.NDArray[np.int64]
"""int64[P], increasing: indices of packets in decoding order."""


class PacketSelection:
    """Selects packets of one video by its index.

    Args:
        index: the video's packets.
        prune: whether to leave out pictures that no sampled frame depends on: pictures that no other is
            predicted from, and in each GOP those after the last sampled frame.
    """

    def __init__(self, index: PacketIndex, *, prune: bool) -> None:
        self._index, self._prune = index, prune
        presented = np.flatnonzero(index.presented)
        self._by_pts = presented[np.argsort(index.pts[presented], kind="stable")]
        self._presented_pts = index.pts[self._by_pts]
        self._random_access = np.flatnonzero(index.random_access)

    @property
    def last_pts(self) -> int:
        """PTS of the last presented frame."""
        return int(self._presented_pts[-1])

    def of_frames(self, sampled_pts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64[K]: index of the packet with each of these frames (int64[K] PTS), in their order."""
        return self._by_pts[np.searchsorted(self._presented_pts, sampled_pts)]

    def random_access_counts(self, sampled_pts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64[K]: for each frame, how many random access points its decoding could start from."""
        by_packet = np.searchsorted(self._random_access, self.of_frames(sampled_pts), "right")
        by_pts = np.searchsorted(self._index.pts[self._random_access], sampled_pts, "right")
        return np.minimum(by_packet, by_pts)

    def needed_for(self, sampled_pts: npt.NDArray[np.int64]) -> PacketIndices:
        """The packets that it takes to decode these frames; the last packet holds one of them.

        They start at the last random access point at or before the first frame.
        """
        if len(sampled_pts) == 0:
            return np.zeros(0, np.int64)
        index = self._index
        frames = self.of_frames(sampled_pts)
        frames = np.union1d(frames, index.completed_at[frames])
        points = self._random_access[: np.searchsorted(self._random_access, int(frames.min()), "right")]
        # Leading pictures are presented before their random access point and are not exact from there, so the
        # point must not be later than the first frame. Only the very first point may have no such
        # predecessor.
        exact = np.flatnonzero(index.pts[points] <= sampled_pts[0])
        first = int(points[exact[-1] if len(exact) else 0])
        packets = np.arange(first, int(frames.max()) + 1)
        kept = ~index.undecodable[packets]
        if self._prune:
            kept &= self._referenced(packets, frames)
        return packets[kept]

    def _referenced(self, packets: PacketIndices, frames: PacketIndices) -> npt.NDArray[np.bool_]:
        """bool[P]: which of consecutive ``packets`` hold ``frames`` or what these may be predicted from."""
        index = self._index
        gop = np.cumsum(index.resets[packets])
        last = np.full(gop[-1] + 1, -1)
        np.maximum.at(last, gop[frames - packets[0]], frames)
        needed = ~index.unreferenced[packets] & (packets <= last[gop])
        needed[frames - packets[0]] = True
        # Decoding starts at the random access point, whether or not other pictures refer to it.
        needed[0] = True
        return needed
