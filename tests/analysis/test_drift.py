"""A difference that changes from block to block is noticed, if there are enough blocks to notice it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.analysis.drift import drift

LOGS = st.lists(st.floats(-1, 1), min_size=3, max_size=9)


def test_a_steady_rise_over_five_blocks_is_one_order_in_120() -> None:
    found = drift([0.00, 0.02, 0.05, 0.07, 0.11])
    assert found is not None
    assert found.trend_p == pytest.approx(2 / 120)
    assert found.is_found
    assert found.change_percent_per_block == pytest.approx(100 * (math.exp(0.027) - 1))


@pytest.mark.parametrize(("blocks", "can"), [(3, False), (4, False), (5, True), (7, True), (12, True)])
def test_fewer_than_five_blocks_cannot_show_a_trend(blocks: int, can: bool) -> None:
    found = drift([0.01 * number for number in range(blocks)])
    assert found is not None
    assert found.can_be_found is can
    assert found.trend_p == pytest.approx(found.smallest_p)
    assert (found.trend_p <= 0.05) is can


def test_neighbours_that_are_alike_are_noticed_without_a_trend() -> None:
    logs = [0.1, 0.1, 0.1, -0.1, -0.1, -0.1, -0.1, -0.1, 0.1, 0.1, 0.1, 0.1]
    found = drift(logs)
    assert found is not None
    assert found.autocorrelation > 0.5
    assert found.autocorrelation_p < 0.05 < found.trend_p
    assert found.is_found


@pytest.mark.parametrize("logs", [[], [0.1], [0.1, 0.2], [0.3] * 6])
def test_what_has_no_order_has_no_drift(logs: list[float]) -> None:
    assert drift(logs) is None


@given(LOGS)
def test_the_order_backwards_drifts_the_other_way(logs: list[float]) -> None:
    there, back = drift(logs), drift(logs[::-1])
    if there is None or back is None:
        return
    assert back.trend_p == pytest.approx(there.trend_p, abs=0.03)
    assert back.autocorrelation == pytest.approx(there.autocorrelation, abs=1e-6)
    forward, backward = (math.log1p(each.change_percent_per_block / 100) for each in (there, back))
    assert forward == pytest.approx(-backward, abs=1e-9)


@pytest.mark.parametrize("blocks", [5, 7, 10])
def test_independent_blocks_raise_an_alarm_as_often_as_they_should(blocks: int) -> None:
    random = np.random.default_rng([20260101, blocks])
    trends = [drift(list(random.normal(0, 0.05, blocks))) for _ in range(300)]
    share = sum(each is not None and each.trend_p <= 0.05 for each in trends) / len(trends)
    assert share <= 0.09, "5%; 300 studies scatter by 1.3 points"
