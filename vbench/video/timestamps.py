"""Checks that the times of a video's pictures agree with the order in which decoders hand them out."""

from __future__ import annotations  # Index is imported for type checks only

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vbench.video.decoded_times import decoded_times
from vbench.video.errors import VideoError
from vbench.video.types import VideoLimits

if TYPE_CHECKING:
    from vbench.video.probe import Index
    from vbench.video.types import VideoInfo

_REORDERING = ("h264", "hevc")
"""Codecs whose pictures may be coded in another order than they are shown in."""

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
        place = int(np.argmax(back))
        raise VideoError(
            f"{info.path} has time stamps that go back after {info.time_s(int(latest[place - 1])):.3f} s, as "
            "joined recordings and some edit lists have: encode it again, for example with "
            "'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
        )


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


def ambiguous(index: Index, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of the pts ``wanted`` (int64[K], rising) at which no decoder says which picture comes first.

    Where two segments of an edit list share a pts, the picture of the first segment does.
    """
    decoded = ~(index.hidden | index.needless | index.discarded)
    pts, runs = index.pts[decoded], index.runs[decoded]
    order = np.lexsort((runs, pts))
    pts, runs = pts[order], runs[order]
    twice = pts[1:][(pts[1:] == pts[:-1]) & (runs[1:] == runs[:-1])]
    return np.intersect1d(wanted, twice)
