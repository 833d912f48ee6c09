"""The sampling rule: of the frames in each bin of 1/fps seconds, the first is sampled."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

_INT64_MAX = 2**63 - 1


def bins(pts: npt.NDArray[np.int64], origin: int, bins_per_tick: Fraction) -> npt.NDArray[np.int64]:
    """The bin of each PTS: floor((pts - origin) * bins_per_tick), computed exactly.

    Args:
        pts: int64[N] in ticks, none below ``origin``.
        origin: the tick where bin 0 starts.
        bins_per_tick: bins per tick, e.g. ``time_base * fps``.

    Returns:
        int64[N].
    """
    if len(pts) == 0:
        return np.zeros(0, np.int64)
    span = int(pts.max()) - origin
    if span * bins_per_tick.numerator <= _INT64_MAX and bins_per_tick.denominator <= _INT64_MAX:
        return (pts - origin) * bins_per_tick.numerator // bins_per_tick.denominator
    exact = [(int(tick) - origin) * bins_per_tick.numerator // bins_per_tick.denominator for tick in pts]
    return np.array(exact, np.int64)


def sampled(pts: npt.NDArray[np.int64], time_base: Fraction, fps: Fraction) -> npt.NDArray[np.int64]:
    """The PTS of the sampled frames: the first in each bin floor((pts - first pts) * time_base * fps).

    With ``fps`` at or above the video's own rate, that is every frame. A bin without a frame yields none, so
    no frame is repeated.

    Args:
        pts: int64[N], increasing: PTS of every presented frame, in ticks.
        time_base: seconds per tick.
        fps: frames per second to sample, above 0.

    Returns:
        int64[K], increasing, K <= N.

    Raises:
        ValueError: ``fps`` is not above 0.
    """
    if fps <= 0:
        raise ValueError(f"fps={fps} is out of range: it must be above 0")
    if len(pts) == 0:
        return pts
    bins_per_tick = min(time_base * fps, Fraction(1))  # finer than a tick changes nothing
    index = bins(pts, int(pts[0]), bins_per_tick)
    return pts[np.diff(index, prepend=-1) > 0]
