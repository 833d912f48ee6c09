"""Checks that the PTS of a video's pictures agree with the order in which decoders output them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.decoded_pts import decoded_pts
from vbench.video.index.packet_index import UNKNOWN_ORDER, PacketIndex
from vbench.video.remedies import reencode
from vbench.video.types import VideoInfo, VideoLimits

_REORDERING = ("h264", "hevc")
"""Codecs whose pictures may be coded in another order than they are output in."""

_MAX_DECODED_PIXELS = 10**9
"""Pixels of all pictures that are decoded to settle a doubt: some seconds of CPU time."""

_GUESSING_PICTURES = 16
"""Pictures from which decoders guess how far a stream is reordered, if it does not say."""

_ENOUGH_FRAMES = 64
"""Frames that show whether pictures are reordered: more than a decoder may hold back (16)."""


def check_pts_order(info: VideoInfo, index: PacketIndex) -> None:
    """Check that no picture is presented before one that every decoder outputs earlier.

    Decoders output all pictures from before a reset (an IDR picture) or before a jump of an edit list ahead
    of those after it. At other random access points they output earlier pictures ahead of that picture. VP8,
    VP9 and AV1 are not reordered at all. PTS that decrease come from recordings joined one after another.

    Raises:
        VideoError: PTS decrease.
    """
    presented = np.flatnonzero(index.presented)
    pts = index.pts[presented]
    latest = np.maximum.accumulate(pts)
    decreases = np.append(False, pts[1:] < latest[:-1])
    if info.codec in _REORDERING:
        decreases &= index.random_access[presented]
        group = (np.cumsum(index.resets) + index.edit_segment)[presented]
        first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
        earliest = np.minimum.reduceat(pts, first)[1:]
        decreases[first[1:]] |= earliest < latest[first[1:] - 1]
    if decreases.any():
        raise _decreasing(info, int(latest[int(np.argmax(decreases)) - 1]))


def _decreasing(info: VideoInfo, after: int) -> VideoError:
    return VideoError(
        f"{info.path} has timestamps that go back after {info.time_s(after):.3f} s, like joined recordings "
        f"and some edit lists; re-encode it: {reencode(info.path)}"
    )


def check_output_order(
    info: VideoInfo, index: PacketIndex, limits: VideoLimits, reorder_depth: int | None
) -> None:
    """Check that decoders output every picture, and in the order of PTS.

    The pictures themselves state their order. One decoder settles the cases that leave a doubt: PTS do not
    follow the stated order; pictures are reordered further than decoders expect, so that one comes when a
    later one has been output; or a sequence of HEVC ends. A doubt that only arises far into a video is not
    settled; there, the stated order counts.

    Args:
        info: facts about the video.
        index: its packets.
        limits: what to refuse.
        reorder_depth: how many pictures decoders hold back to put them in order. None if the stream does not
            say; decoders then hold back as many as the first pictures need.

    Raises:
        VideoError: PTS decrease, or pictures are lost.
    """
    presented = np.flatnonzero(index.presented)
    orders, pts = index.output_order[presented], index.pts[presented]
    doubtful, decreasing = np.intersect1d(index.state.sequence_ends(), presented), np.zeros(0, np.int64)
    if not (orders == UNKNOWN_ORDER).any():
        by_output = np.lexsort((orders, index.edit_segment[presented]))
        decreasing = by_output[:-1][np.diff(pts[by_output]) < 0]
        overtaken = _overtaken(by_output)
        expected = int(overtaken[:_GUESSING_PICTURES].max()) if reorder_depth is None else reorder_depth
        further = _new_maxima(overtaken, expected)
        doubtful = np.concatenate((doubtful, presented[decreasing], presented[further]))
    near = doubtful[doubtful <= _MAX_DECODED_PIXELS // (info.decoded_width * info.decoded_height)]
    if len(near) == 0:
        if len(decreasing):
            raise _decreasing(info, int(pts[decreasing[0]]))
        return
    frames = int(near.max()) + _ENOUGH_FRAMES
    output = np.array(decoded_pts(Path(info.path), limits, frames, index.undecodable))
    output = output[np.isin(output, pts)]
    went_back = np.flatnonzero(np.diff(output) < 0)
    if len(went_back):
        raise _decreasing(info, int(output[went_back[0]]))
    lost = np.setdiff1d(pts[pts <= output.max(initial=UNKNOWN_ORDER)], output)
    if len(lost):
        raise VideoError(
            f"{info.path} loses {len(lost)} of its {len(pts)} pictures in decoders, since it reorders "
            f"pictures further than before at {info.time_s(int(lost[0])):.3f} s; re-encode what players show "
            f"of it: {reencode(info.path)}"
        )


def _overtaken(by_output: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[N]: how many positions each picture is output ahead of its position in decoding order."""
    rank = np.empty(len(by_output), np.int64)
    rank[by_output] = np.arange(len(by_output))
    return np.arange(len(by_output)) - rank


def _new_maxima(values: npt.NDArray[np.int64], bound: int) -> npt.NDArray[np.int64]:
    """Positions at which a value exceeds ``bound`` and all earlier values."""
    highest = np.maximum.accumulate(np.append(bound, values))
    return np.flatnonzero(np.diff(highest) > 0)


def check_reordering(info: VideoInfo, index: PacketIndex, limits: VideoLimits, rate: Fraction) -> None:
    """Check the PTS of a video whose decoder reorders pictures although its packets are in order of PTS.

    Either no picture is reordered, although the stream says so, or the PTS belong to other pictures, as in a
    file that lost its PTS and kept its DTS. The first pictures show which.

    Args:
        info: facts about the video.
        index: its packets.
        limits: what to refuse.
        rate: frames per second, for the remedy.

    Raises:
        VideoError: the PTS belong to other pictures.
    """
    presented = index.pts[index.presented]
    if info.codec not in _REORDERING or len(presented) < 3 or (np.diff(presented) <= 0).any():
        return
    output = np.array(decoded_pts(Path(info.path), limits, _ENOUGH_FRAMES))
    back = np.flatnonzero(np.diff(output) <= 0)
    if len(back):
        raise VideoError(
            f"{info.path} has timestamps in another order than its pictures are presented in, at "
            f"{info.time_s(int(output[back[0]])):.3f} s; re-encode it at its frame rate: "
            f"{reencode(info.path, rate=rate)}"
        )
