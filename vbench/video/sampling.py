"""The sampling rule: of the frames that fall into one bin of 1/fps seconds, the first is taken."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

_INT64_MAX = 2**63 - 1


def bins(pts: npt.NDArray[np.int64], origin: int, per_tick: Fraction) -> npt.NDArray[np.int64]:
    """floor((pts - origin) * per_tick), exactly.

    Args:
        pts: int64[N] in ticks, none below ``origin``.
        origin: the tick where bin 0 starts.
        per_tick: bins a tick, e.g. ``time_base * fps``.

    Returns:
        int64[N].
    """
    if len(pts) == 0:
        return np.zeros(0, np.int64)
    span = int(pts.max()) - origin
    if span * per_tick.numerator <= _INT64_MAX and per_tick.denominator <= _INT64_MAX:
        return (pts - origin) * per_tick.numerator // per_tick.denominator
    exact = [(int(tick) - origin) * per_tick.numerator // per_tick.denominator for tick in pts]
    return np.array(exact, np.int64)


def sampled(pts: npt.NDArray[np.int64], time_base: Fraction, fps: Fraction) -> npt.NDArray[np.int64]:
    """The pts of the frames to take: the first in each bin floor((pts - first pts) * time_base * fps).

    With ``fps`` at or above the video's own rate that is every frame; a bin without a frame gives none, so
    no frame is ever repeated.

    Args:
        pts: int64[N], rising: every presented frame of the video.
        time_base: seconds a tick.
        fps: frames a second to take, above 0.

    Returns:
        int64[K], rising, K <= N.
    """
    if fps <= 0:
        raise ValueError(f"fps is {fps}: it must be above 0")
    if len(pts) == 0:
        return pts
    per_tick = min(time_base * fps, Fraction(1))  # finer than a tick changes nothing
    index = bins(pts, int(pts[0]), per_tick)
    return pts[np.diff(index, prepend=-1) > 0]
