"""Follows the jumps of an MP4 edit list, and times the packets of a chunk so that no two collide.

libavformat applies edit lists: it hands out the packets of each segment, from the keyframe before it to one
after it, and marks those whose pictures are outside the segment. These must be decoded, are not shown, and
may have the time of a picture of another segment.
"""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.errors import VideoError
from vbench.video.index.decoded_pts import decoded_times
from vbench.video.types import VideoLimits

if TYPE_CHECKING:
    from vbench.video.index.packet_index import Index
    from vbench.video.types import VideoInfo

NO_PTS = -(2**63)
"""Stands in the index for a packet without a time stamp; no such packet is ever shown."""


class Jumps:
    """Counts the jumps back in an MP4 or MOV file: where a packet was coded before the one that it follows.

    Samples need not lie in the file in the order in which they were coded (ISO/IEC 14496-12, 8.7.5), so what
    counts is their order in the sample table. A file without one, such as one with a compressed header, is
    taken to have them in order. Edit lists do not apply to samples in fragments.

    Args:
        container: libavformat's name of the format.
        samples: int64[N]: the first byte of each sample of the sample table, in decoding order.
    """

    def __init__(self, container: str, samples: npt.NDArray[np.int64] | None) -> None:
        self._has_edit_lists = "mp4" in container.split(",")
        self._samples = samples
        self._by_place = None if samples is None else np.argsort(samples, kind="stable")
        self._run = 0
        self._last_dts: int | None = None
        self._last_order = -1

    def run_of(self, packet: Packet[VideoStream]) -> int:
        """The number of jumps up to this packet."""
        if not self._has_edit_lists:
            return 0
        order = self._order(packet)
        if self._last_order >= 0:
            dts, last = packet.dts, self._last_dts
            back_in_time = dts is not None and last is not None and dts < last
            self._run += back_in_time or 0 <= order <= self._last_order
        self._last_dts, self._last_order = packet.dts, order
        return self._run

    def _order(self, packet: Packet[VideoStream]) -> int:
        """A number that rises from packet to packet as they were coded; -1 if it is not known."""
        place = -1 if packet.pos is None else packet.pos
        if self._samples is None or self._by_place is None:
            return place
        following = self._last_order + 1
        if following < len(self._samples) and self._samples[following] == place:
            return following
        at = int(np.searchsorted(self._samples, place, sorter=self._by_place))
        number = int(self._by_place[at]) if at < len(self._by_place) else -1
        return number if number >= 0 and self._samples[number] == place else -1


def check_jumps(info: VideoInfo, index: Index, limits: VideoLimits) -> None:
    """Check that decoders can follow each jump; where that is not sure, by one that decodes all of it.

    HEVC's picture order counts continue after a picture that resets nothing (CRA): those of two segments can
    be the same, and then decoders lose pictures without a word. In H.264 with intra refresh the container's
    keyframes are places from which pictures become exact by and by.

    Raises:
        VideoError: a video jumps to such a picture, and pictures are lost, or shown in another order.
    """
    if info.codec not in ("h264", "hevc"):
        return
    last_shown = int(np.flatnonzero(index.shown)[-1])
    jumps = np.flatnonzero(np.diff(index.runs)) + 1
    sure = index.resets if info.codec == "hevc" else index.clean
    unsure = jumps[~sure[jumps] & (jumps <= last_shown)]
    if len(unsure) == 0:
        return
    decoded, wanted = decoded_times(Path(info.path), limits), index.shown_pts().tolist()
    if decoded == wanted:
        return
    before = index.pts[: unsure[0]][index.shown[: unsure[0]]]
    at_s = info.time_s(int(before.max())) if len(before) else 0.0
    lost = len(set(wanted) - set(decoded))
    what = f"lose {lost} of its {len(wanted)} pictures" if lost else "change the order of its pictures"
    raise VideoError(
        f"{info.path} has an edit list that jumps, after {at_s:.3f} s, to the middle of a coded sequence, "
        f"where decoders {what}: encode what they show, with 'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
    )


def payload_times(index: Index, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[P]: a time for each packet of a chunk, unlike that of every other whose picture is decoded.

    These are the packets' own pts if they do; else the packets are numbered in the order of showing, run by
    run, so that a decoder hands out rising times.

    Args:
        index: of the whole video.
        places: int64[P], rising: the chunk's packets.
    """
    pts, runs = index.pts[places], index.runs[places]
    timed = pts != NO_PTS
    if timed.all() and not index.discarded[places].any() and runs[0] == runs[-1]:
        return pts
    # A packet without a time holds no picture of its own, and goes with the one before.
    source = np.maximum.accumulate(np.where(timed, np.arange(len(pts)), 0))
    order = np.lexsort((np.arange(len(pts)), pts[source], runs))
    times = np.empty(len(pts), np.int64)
    times[order] = np.arange(len(pts))
    return times
