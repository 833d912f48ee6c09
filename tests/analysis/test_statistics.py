"""The interval is what the formula says, and each verdict is what its interval says."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.simulated import alone
from vbench.analysis.statistics import (
    OtherVerdict,
    blocks_for_precision,
    improvement,
    leave_one_out,
    log_ratios,
    mean,
)

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
    assert found.slowdown_bound_percent == pytest.approx(-found.low_percent)


def test_one_block_has_no_interval() -> None:
    found = improvement([90], [66])
    assert found.percent == pytest.approx(26.67, abs=0.01)
    assert (found.low_percent, found.high_percent, found.blocks_for_precision) == (None, None, None)
    assert found.slowdown_bound_percent is None
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


def test_the_advice_does_not_depend_on_the_difference_seen() -> None:
    """Two studies of one spread get the same advice, whether or not they see a difference; on the scale of
    percentage points a difference only makes the interval a little narrower."""
    none = improvement([100.0, 100.0, 100.0], [93.0, 107.0, 100.0])
    some = improvement([100.0, 100.0, 100.0], [88.35, 101.65, 95.0])
    assert (none.verdict, some.verdict) == ("inconclusive", "inconclusive")
    assert none.blocks_for_precision is not None
    assert some.blocks_for_precision is not None
    assert some.blocks_for_precision <= none.blocks_for_precision <= some.blocks_for_precision + 1


def test_a_narrower_interval_takes_more_blocks() -> None:
    old, new = [100.0, 100.0, 100.0], [90.0, 108.0, 100.0]
    blocks = [improvement(old, new, points).blocks_for_precision for points in (20.0, 8.0, 5.0, 2.0)]
    assert all(found is not None for found in blocks)
    assert blocks == sorted(blocks, key=lambda found: found or 0)
    assert blocks[0] != blocks[-1]


def test_equal_arms_are_not_told_apart() -> None:
    found = improvement([50, 60], [50, 60])
    assert (found.percent, found.low_percent, found.high_percent) == (0, 0, 0)
    assert found.verdict == "inconclusive"
    assert found.blocks_for_precision == 2


def test_blocks_of_an_interval_that_is_sharp_enough_by_hand() -> None:
    """With s = 0.1 around no difference the half width is t * 10 / sqrt(n) points or so."""
    logs = [0.1 / math.sqrt(2), -0.1 / math.sqrt(2)]
    assert statistics.stdev(logs) == pytest.approx(0.1)
    blocks = blocks_for_precision(logs)
    assert blocks == 9  # the t table: 2.306 * 10 / 3 = 7.7 points at 9 blocks, 2.365 * 10 / 2.83 = 8.4 at 8
    assert blocks_for_precision(logs, 7.7) == 9
    assert blocks_for_precision(logs, 7.6) == 10
    assert blocks_for_precision([5.0, -5.0]) is None


@given(PAIRS)
def test_a_sweep_that_has_the_blocks_for_it_is_sharp(pairs: list[tuple[float, float]]) -> None:
    found = improvement([a for a, _ in pairs], [b for _, b in pairs])
    assert found.half_width_points is not None
    assert found.low_percent is not None
    assert found.high_percent is not None
    assert found.half_width_points == pytest.approx((found.high_percent - found.low_percent) / 2)
    enough = found.blocks_for_precision is not None and found.blocks_for_precision <= found.blocks
    assert enough == (found.half_width_points <= 8)


@pytest.mark.parametrize(("old", "new"), [([], []), ([1, 2], [1]), ([0, 1], [1, 1])])
def test_what_are_no_pairs_is_refused(old: list[float], new: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pairs|positive"):
        improvement(old, new)


def test_the_mean_of_one_value_has_no_width() -> None:
    assert mean([3.0]).half_width is None
    assert mean([2.0, 4.0]).half_width == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-5)


def test_one_outlying_block_is_named_with_what_the_verdict_would_be_without_it() -> None:
    old, new = [100.0] * 6, [80.0, 81.0, 79.0, 80.5, 79.5, 300.0]
    assert improvement(old, new).verdict == "inconclusive"
    found = leave_one_out(log_ratios(old, new), alone)
    assert found is not None
    assert found.high_without == 5
    assert found.high_percent == pytest.approx(20.0, abs=0.1)
    assert found.low_percent < 5
    assert found.other_verdicts == (OtherVerdict(without=5, verdict="faster"),)


def test_two_blocks_leave_nothing_to_leave_out() -> None:
    assert leave_one_out([0.1, 0.2], alone) is None


@given(PAIRS)
def test_the_whole_lies_within_the_range_without_one(pairs: list[tuple[float, float]]) -> None:
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    found = leave_one_out(log_ratios(old, new), alone)
    if len(pairs) < 3:
        assert found is None
        return
    assert found is not None
    whole = improvement(old, new).percent
    slack = 1e-9 * max(1.0, abs(found.low_percent))
    assert found.low_percent - slack <= whole <= found.high_percent + slack
