"""Follows the jumps of an MP4 edit list, and gives the packets of a chunk PTS that do not collide.

libavformat applies edit lists (ISO/IEC 14496-12, 8.6.6): it outputs the packets of each segment, from the
keyframe before it to one after it, and flags those whose pictures are outside the segment as discarded. These
must be decoded, are not presented, and may have the PTS of a picture of another segment.
"""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.errors import VideoError
from vbench.video.index.decoded_pts import decoded_pts
from vbench.video.index.packet_index import NO_PTS, PacketIndex
from vbench.video.remedies import reencode
from vbench.video.types import VideoInfo, VideoLimits


class EditListJumps:
    """Counts the jumps back in an MP4 or MOV file: a packet was coded before the one that it follows.

    Samples need not be stored in the order in which they were coded (ISO/IEC 14496-12, 8.7.5), so what counts
    is their order in the sample table. A file without one, such as one with a compressed header, is assumed
    to store them in order. Edit lists do not apply to samples in fragments.

    Args:
        container: libavformat's name of the format.
        sample_offsets: int64[N]: first byte of each sample of the sample table, in decoding order.
    """

    def __init__(self, container: str, sample_offsets: npt.NDArray[np.int64] | None) -> None:
        self._has_edit_lists = "mp4" in container.split(",")
        self._offsets = sample_offsets
        self._by_offset = None if sample_offsets is None else np.argsort(sample_offsets, kind="stable")
        self._segment = 0
        self._last_dts: int | None = None
        self._last_order = -1

    def segment_of(self, packet: Packet[VideoStream]) -> int:
        """The number of jumps up to and including this packet, the next in decoding order."""
        if not self._has_edit_lists:
            return 0
        order = self._order(packet)
        if self._last_order >= 0:
            dts, last = packet.dts, self._last_dts
            back_in_time = dts is not None and last is not None and dts < last
            self._segment += back_in_time or 0 <= order <= self._last_order
        self._last_dts, self._last_order = packet.dts, order
        return self._segment

    def _order(self, packet: Packet[VideoStream]) -> int:
        """A number that increases from packet to packet as they were coded; -1 if unknown."""
        offset = -1 if packet.pos is None else packet.pos
        if self._offsets is None or self._by_offset is None:
            return offset
        following = self._last_order + 1
        if following < len(self._offsets) and self._offsets[following] == offset:
            return following
        at = int(np.searchsorted(self._offsets, offset, sorter=self._by_offset))
        number = int(self._by_offset[at]) if at < len(self._by_offset) else -1
        return number if number >= 0 and self._offsets[number] == offset else -1


def check_edit_list_jumps(info: VideoInfo, index: PacketIndex, limits: VideoLimits) -> None:
    """Check that decoders can follow each jump; if that is uncertain, decode all of the video once.

    HEVC's picture order counts continue after a picture that resets nothing (CRA): those of two segments can
    be equal, and then decoders lose pictures silently. In H.264 with intra refresh, the container's keyframes
    are points from which pictures become exact only gradually.

    Raises:
        VideoError: the video jumps to such a picture, and decoders lose pictures or change their order.
    """
    if info.codec not in ("h264", "hevc"):
        return
    last_presented = int(np.flatnonzero(index.presented)[-1])
    jumps = np.flatnonzero(np.diff(index.edit_segment)) + 1
    safe = index.resets if info.codec == "hevc" else index.random_access
    uncertain = jumps[~safe[jumps] & (jumps <= last_presented)]
    if len(uncertain) == 0:
        return
    decoded, wanted = decoded_pts(Path(info.path), limits), index.presented_pts().tolist()
    if decoded == wanted:
        return
    before = index.pts[: uncertain[0]][index.presented[: uncertain[0]]]
    at_s = info.time_s(int(before.max())) if len(before) else 0.0
    lost = len(set(wanted) - set(decoded))
    effect = f"lose {lost} of its {len(wanted)} pictures" if lost else "change the order of its pictures"
    raise VideoError(
        f"{info.path} has an edit list that jumps, after {at_s:.3f} s, to the middle of a coded sequence, "
        f"where decoders {effect}; re-encode what players show of it: {reencode(info.path)}"
    )


def unique_pts(index: PacketIndex, packets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[P]: a PTS for each packet of a chunk that no other packet with a decoded picture has.

    These are the packets' own PTS if they are unique. Otherwise the packets are numbered in presentation
    order, edit segment by edit segment, so that a decoder outputs increasing PTS.

    Args:
        index: of the whole video.
        packets: int64[P], increasing: indices of the chunk's packets.
    """
    pts, segments = index.pts[packets], index.edit_segment[packets]
    has_pts = pts != NO_PTS
    if has_pts.all() and not index.discarded[packets].any() and segments[0] == segments[-1]:
        return pts
    # A packet without a PTS holds no picture of its own, and goes with the one before.
    source = np.maximum.accumulate(np.where(has_pts, np.arange(len(pts)), 0))
    order = np.lexsort((np.arange(len(pts)), pts[source], segments))
    unique = np.empty(len(pts), np.int64)
    unique[order] = np.arange(len(pts))
    return unique
