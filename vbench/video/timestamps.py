"""Checks that the times of a video's pictures agree with the order in which decoders hand them out."""

from __future__ import annotations  # Index is imported for type checks only

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError

if TYPE_CHECKING:
    from vbench.video.probe import Index
    from vbench.video.types import VideoInfo

_REORDERING = ("h264", "hevc")
"""Codecs whose pictures may be coded in another order than they are shown in."""


def check_order(info: VideoInfo, index: Index) -> None:
    """Check that no picture is shown before one that every decoder hands out earlier.

    Decoders hand out all pictures from before a reset (an IDR picture), or before a jump of an edit list,
    ahead of those after it. VP8, VP9 and AV1 are not reordered at all. Times that go back are those of
    recordings joined one behind the other.

    Raises:
        VideoError: a time goes back.
    """
    shown = np.flatnonzero(index.shown)
    pts = index.pts[shown]
    latest = np.maximum.accumulate(pts)
    if info.codec in _REORDERING:
        group = (np.cumsum(index.resets) + index.runs)[shown]
        first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
        earliest = np.minimum.reduceat(pts, first)[1:]
        back = np.flatnonzero(earliest < latest[first[1:] - 1])
        place = first[1:][back[0]] if len(back) else None
    else:
        back = np.flatnonzero(pts[1:] < latest[:-1])
        place = back[0] + 1 if len(back) else None
    if place is not None:
        raise VideoError(
            f"{info.path} has time stamps that go back after {info.time_s(int(latest[place - 1])):.3f} s, as "
            "joined recordings and some edit lists have: encode it again, for example with "
            "'ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4'"
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
