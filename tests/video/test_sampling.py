"""The sampling rule, against itself computed with fractions, one frame at a time."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vbench.video.sampling import bins, sampled

TIME_BASES = [Fraction(1, 1000), Fraction(1, 15360), Fraction(1, 90000), Fraction(1001, 30000), Fraction(1)]


def int64(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_the_first_frame_of_each_second_is_taken() -> None:
    pts = int64(list(range(0, 4 * 15360, 512)))

    assert sampled(pts, Fraction(1, 15360), Fraction(1)).tolist() == [0, 15360, 30720, 46080]


def test_bins_begin_at_the_first_frame_and_not_at_zero() -> None:
    assert sampled(int64([700, 1200, 1699, 1700]), Fraction(1, 1000), Fraction(1)).tolist() == [700, 1700]


def test_a_gap_gives_no_frame_and_repeats_none() -> None:
    assert sampled(int64([0, 100, 5300, 5900]), Fraction(1, 1000), Fraction(1)).tolist() == [0, 5300]


def test_a_rate_above_the_videos_own_takes_every_frame() -> None:
    pts = int64([0, 1, 2, 5, 9])

    assert sampled(pts, Fraction(1, 1000), Fraction(10**30)).tolist() == pts.tolist()


def test_no_frames_give_no_frames() -> None:
    assert sampled(int64([]), Fraction(1, 1000), Fraction(1)).tolist() == []


def test_time_stamps_too_large_for_64_bits_are_computed_exactly() -> None:
    pts = int64([0, 2**62 - 1, 2**62])

    assert bins(pts, 0, Fraction(10**9 + 7, 2**40)).tolist() == [
        int(tick) * (10**9 + 7) // 2**40 for tick in pts
    ]


@settings(max_examples=300, derandomize=True, database=None)
@given(
    ticks=st.sets(st.integers(-(2**50), 2**50) | st.integers(0, 5000), min_size=1, max_size=60),
    time_base=st.sampled_from(TIME_BASES),
    fps=st.fractions(min_value=Fraction(1, 1000), max_value=1000, max_denominator=100_003),
)
def test_it_is_the_first_frame_of_each_bin(ticks: set[int], time_base: Fraction, fps: Fraction) -> None:
    pts = sorted(ticks)
    first: dict[int, int] = {}
    for tick in pts:
        first.setdefault((tick - pts[0]) * time_base * fps // 1, tick)

    assert sampled(int64(pts), time_base, fps).tolist() == list(first.values())
