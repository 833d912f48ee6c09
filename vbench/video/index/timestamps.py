"""Checks that the times of a video's pictures agree with the order in which decoders hand them out."""

from __future__ import annotations  # Index is imported for type checks only

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.decoded_pts import decoded_times
from vbench.video.types import VideoLimits

if TYPE_CHECKING:
    from vbench.video.index.packet_index import Index
    from vbench.video.types import VideoInfo

_REORDERING = ("h264", "hevc")
"""Codecs whose pictures may be coded in another order than they are shown in."""

NO_ORDER = -(2**63)
"""Stands in the index for a picture whose place in output order is not known."""

_REMEDY = "for example with 'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"

_MOST_PIXELS = 10**9
"""Of all pictures that are decoded to settle a doubt: some seconds of CPU time."""

_FIRST = 16
"""Pictures from which decoders guess how far a stream is reordered, if it does not say."""

_ENOUGH = 64
"""Frames that show whether pictures are reordered: more than a decoder may hold back (16)."""


def check_order(info: VideoInfo, index: Index) -> None:
    """Check that no picture is shown before one that every decoder hands out earlier.

    Decoders hand out all pictures from before a reset (an IDR picture), or before a jump of an edit list,
    ahead of those after it; where decoding can start otherwise, ahead of that picture. VP8, VP9 and AV1 are
    not reordered at all. Times that go back are those of recordings joined one behind the other.

    Raises:
        VideoError: a time goes back.
    """
    shown = np.flatnonzero(index.shown)
    pts = index.pts[shown]
    latest = np.maximum.accumulate(pts)
    back = np.append(False, pts[1:] < latest[:-1])
    if info.codec in _REORDERING:
        back &= index.clean[shown]
        group = (np.cumsum(index.resets) + index.runs)[shown]
        first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
        earliest = np.minimum.reduceat(pts, first)[1:]
        back[first[1:]] |= earliest < latest[first[1:] - 1]
    if back.any():
        raise _goes_back(info, int(latest[int(np.argmax(back)) - 1]))


def _goes_back(info: VideoInfo, after: int) -> VideoError:
    return VideoError(
        f"{info.path} has time stamps that go back after {info.time_s(after):.3f} s, as joined recordings "
        f"and some edit lists have: encode it again, {_REMEDY}"
    )


def check_output_order(info: VideoInfo, index: Index, limits: VideoLimits, held_back: int | None) -> None:
    """Check that decoders hand out every picture, and in the order of their times.

    The pictures themselves say their order. If that leaves a doubt, one decoder shows what comes out. A doubt
    is left if times do not follow the order; if pictures are reordered further than decoders expect, so that
    one comes when a later one is already out; and if a sequence of HEVC ends. A doubt that only arises far
    into a video is not settled; there the pictures are believed.

    Args:
        held_back: how many pictures decoders hold back to put them in order. None if the stream does not say;
            they then take as many as the first pictures need.

    Raises:
        VideoError: a time goes back, or pictures are lost.
    """
    shown = np.flatnonzero(index.shown)
    orders, pts = index.orders[shown], index.pts[shown]
    doubtful, goes_back = np.intersect1d(index.state.ends(), shown), np.zeros(0, np.int64)
    if not (orders == NO_ORDER).any():
        by_output = np.lexsort((orders, index.runs[shown]))
        goes_back = by_output[:-1][np.diff(pts[by_output]) < 0]
        overtaken = _overtaken(by_output)
        expected = int(overtaken[:_FIRST].max()) if held_back is None else held_back
        further = _growing(overtaken, expected)
        doubtful = np.concatenate((doubtful, shown[goes_back], shown[further]))
    near = doubtful[doubtful <= _MOST_PIXELS // (info.decoded_width * info.decoded_height)]
    if len(near) == 0:
        if len(goes_back):
            raise _goes_back(info, int(pts[goes_back[0]]))
        return
    times = np.array(decoded_times(Path(info.path), limits, int(near.max()) + _ENOUGH, index.needless))
    times = times[np.isin(times, pts)]
    went_back = np.flatnonzero(np.diff(times) < 0)
    if len(went_back):
        raise _goes_back(info, int(times[went_back[0]]))
    lost = np.setdiff1d(pts[pts <= times.max(initial=NO_ORDER)], times)
    if len(lost):
        raise VideoError(
            f"{info.path} reorders its pictures further than before at {info.time_s(int(lost[0])):.3f} s, "
            f"where decoders lose {len(lost)} of its {len(pts)} pictures: encode what they show, {_REMEDY}"
        )


def _overtaken(by_output: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[N]: how many places each picture is shown ahead of its place in decoding order."""
    rank = np.empty(len(by_output), np.int64)
    rank[by_output] = np.arange(len(by_output))
    return np.arange(len(by_output)) - rank


def _growing(values: npt.NDArray[np.int64], bound: int) -> npt.NDArray[np.int64]:
    """Places at which a value is above ``bound`` and all values before."""
    highest = np.maximum.accumulate(np.append(bound, values))
    return np.flatnonzero(np.diff(highest) > 0)


def check_reordering(info: VideoInfo, index: Index, limits: VideoLimits, rate: Fraction) -> None:
    """Check the times of a video whose decoder reorders pictures, and whose packets are in order of time.

    Either none is reordered, though the stream says so, or the times are not those of the pictures, as in a
    file that has lost the presentation times and kept the decoding times. The first pictures show which.

    Args:
        rate: frames a second, for the remedy.

    Raises:
        VideoError: they are not.
    """
    shown = index.pts[index.shown]
    if info.codec not in _REORDERING or len(shown) < 3 or (np.diff(shown) <= 0).any():
        return
    times = np.array(decoded_times(Path(info.path), limits, _ENOUGH))
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise VideoError(
            f"{info.path} has time stamps in another order than its pictures are shown in, at "
            f"{info.time_s(int(times[back[0]])):.3f} s: encode it again at its frame rate, for example with "
            f"'ffmpeg -r {rate} -i INPUT -c:v libx264 OUTPUT.mp4'"
        )
