"""The interval is what the formula says, and each verdict is what its interval says."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.analysis.statistics import improvement, mean, precise_blocks

LATENCIES = st.floats(min_value=0.1, max_value=1e4)
PAIRS = st.lists(st.tuples(LATENCIES, LATENCIES), min_size=2, max_size=12)


def test_three_blocks_by_hand() -> None:
    found = improvement([100, 100, 100], [70, 74, 78])
    logs = [math.log(x) for x in (0.70, 0.74, 0.78)]
    centre = sum(logs) / 3
    spread = math.sqrt(sum((x - centre) ** 2 for x in logs) / 2)
    half = 4.302653 * spread / math.sqrt(3)  # the t table: 97.5%, 2 degrees of freedom
    assert found.blocks == 3
    assert found.percent == pytest.approx(100 * (1 - math.exp(centre)))
    assert found.low_percent == pytest.approx(100 * (1 - math.exp(centre + half)), rel=1e-5)
    assert found.high_percent == pytest.approx(100 * (1 - math.exp(centre - half)), rel=1e-5)
    assert found.verdict == "faster"
    assert found.more_blocks == 0


def test_one_block_has_no_interval() -> None:
    found = improvement([90], [66])
    assert found.percent == pytest.approx(26.67, abs=0.01)
    assert (found.low_percent, found.high_percent, found.more_blocks) == (None, None, None)
    assert found.verdict == "one block: no interval"


def test_what_a_block_shares_drops_out() -> None:
    """A machine that is twice as slow in one block changes nothing."""
    calm = improvement([90, 91, 90, 92], [66, 67, 65, 66])
    slow = improvement([90, 182, 90, 92], [66, 134, 65, 66])
    assert slow == calm


@given(PAIRS)
def test_arms_in_turn_mirror_each_other(pairs: list[tuple[float, float]]) -> None:
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = improvement(old, new), improvement(new, old)
    mirrored = {"faster": "slower", "slower": "faster"}
    assert back.verdict == mirrored.get(there.verdict, there.verdict)
    assert (1 - there.percent / 100) * (1 - back.percent / 100) == pytest.approx(1)


@given(PAIRS)
def test_a_verdict_is_what_the_interval_says(pairs: list[tuple[float, float]]) -> None:
    found = improvement([a for a, _ in pairs], [b for _, b in pairs])
    assert found.low_percent is not None
    assert found.high_percent is not None
    assert found.low_percent <= found.percent <= found.high_percent
    if found.verdict == "faster":
        assert found.low_percent > 0
    elif found.verdict == "slower":
        assert found.high_percent < 0
    else:
        assert found.low_percent <= 0 <= found.high_percent


def test_blocks_that_are_advised_tell_it_apart() -> None:
    """A study of the advised size, with spread and difference as seen, has an interval off zero."""
    old, new = [100.0, 100.0, 100.0], [85.0, 100.0, 92.0]
    found = improvement(old, new)
    assert found.verdict == "not told apart"
    assert found.more_blocks is not None
    assert 3 <= found.more_blocks <= 20
    rounds = (3 + found.more_blocks) // 3 + 1
    assert improvement(old * rounds, new * rounds).verdict == "faster"


def test_a_difference_far_below_the_noise_advises_no_study() -> None:
    assert improvement([100, 100, 100], [90, 111, 100.001]).more_blocks is None


def test_equal_arms_are_not_told_apart() -> None:
    found = improvement([50, 60], [50, 60])
    assert (found.percent, found.low_percent, found.high_percent) == (0, 0, 0)
    assert found.verdict == "not told apart"
    assert found.more_blocks is None, "no number of blocks tells nothing from nothing"
    assert found.precise_blocks == 2


def test_blocks_of_an_interval_that_is_sharp_enough_by_hand() -> None:
    """With s = 0.1 around no difference the half width is t * 10 / sqrt(n) points or so."""
    logs = [0.1 / math.sqrt(2), -0.1 / math.sqrt(2)]
    assert statistics.stdev(logs) == pytest.approx(0.1)
    blocks = precise_blocks(logs)
    assert blocks == 9  # the t table: 2.306 * 10 / 3 = 7.7 points at 9 blocks, 2.365 * 10 / 2.83 = 8.4 at 8
    assert precise_blocks(logs, 7.7) == 9
    assert precise_blocks(logs, 7.6) == 10
    assert precise_blocks([5.0, -5.0]) is None


@given(PAIRS)
def test_a_sweep_that_has_the_blocks_for_it_is_sharp(pairs: list[tuple[float, float]]) -> None:
    found = improvement([a for a, _ in pairs], [b for _, b in pairs])
    assert found.half_width_points is not None
    assert found.low_percent is not None
    assert found.high_percent is not None
    assert found.half_width_points == pytest.approx((found.high_percent - found.low_percent) / 2)
    enough = found.precise_blocks is not None and found.precise_blocks <= found.blocks
    assert enough == (found.half_width_points <= 8)


@pytest.mark.parametrize(("old", "new"), [([], []), ([1, 2], [1]), ([0, 1], [1, 1])])
def test_what_are_no_pairs_is_refused(old: list[float], new: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pairs|positive"):
        improvement(old, new)


def test_the_mean_of_one_value_has_no_width() -> None:
    assert mean([3.0]).half_width is None
    assert mean([2.0, 4.0]).half_width == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-5)
