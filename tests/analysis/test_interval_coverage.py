"""Of 100 intervals about 95 hold the truth, whatever the noise is like; shown on simulated sweeps."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.analysis import simulated
from vbench.analysis.statistics import Improvement, improvement

EXACT = ("normal", "resampled from measured trials")
"""93 to 97%; 1,000 sweeps by themselves scatter by 0.7."""


@pytest.mark.parametrize("blocks", simulated.BLOCKS)
@pytest.mark.parametrize("noise", simulated.NOISES)
def test_intervals_hold_the_truth_as_often_as_they_say(
    noise: str, blocks: int, record_property: Callable[[str, object], None]
) -> None:
    percent = simulated.coverage(noise, blocks)
    record_property("coverage_percent", percent)
    print(f"coverage with {noise} noise at {blocks} blocks: {percent:.1f}%")
    if noise in EXACT:
        assert 93 <= percent <= 97
    else:
        assert percent >= 90


def as_if(blocks: int, factor: float) -> simulated.Judge:
    """An interval whose half width on the log scale is wrong by a factor."""

    def judge(old: list[float], new: list[float]) -> Improvement:
        found = improvement(old, new)
        assert found.low_percent is not None
        assert found.high_percent is not None
        centre, low = math.log(1 - found.percent / 100), math.log(1 - found.low_percent / 100)
        half = (low - centre) * factor
        return replace(
            found,
            low_percent=100 * (1 - math.exp(centre + half)),
            high_percent=100 * (1 - math.exp(centre - half)),
        )

    return judge


@pytest.mark.parametrize(
    ("blocks", "normal_over_t"), [(3, 1.96 / 4.303), (5, 1.96 / 2.776), (10, 1.96 / 2.262)]
)
def test_an_interval_from_the_normal_distribution_would_be_found_out(
    blocks: int, normal_over_t: float
) -> None:
    assert simulated.coverage("normal", blocks, as_if(blocks, normal_over_t)) < 93


@pytest.mark.parametrize("blocks", simulated.BLOCKS)
def test_an_interval_that_is_too_wide_would_be_found_out(blocks: int) -> None:
    assert simulated.coverage("normal", blocks, as_if(blocks, 1.7)) > 97


def test_measured_noise_has_the_spread_of_its_arms() -> None:
    residuals = simulated.measured()
    assert len(residuals) >= 15
    assert abs(residuals.mean()) < 1e-9
    assert 0.002 < residuals.std() < 0.3


@pytest.mark.parametrize(("pilot", "spread", "points"), simulated.ADVISED)
def test_following_the_advice_on_blocks_keeps_false_verdicts_near_5_percent(
    pilot: int, spread: float, points: float
) -> None:
    """Equal arms; the study that the pilot advises is judged by itself, as the advice says."""
    found = simulated.advice(pilot, spread, points)
    assert 3 <= found["false_percent"] <= 7, "1,000 sweeps scatter by 0.7"
    assert found["half_width_median_points"] <= 1.1 * points


def test_a_drifting_difference_breaks_the_interval_and_is_noticed_more_often_than_by_chance() -> None:
    assert simulated.coverage("neighbouring blocks are alike", 10) < 90
    drifting = simulated.alarms("the difference drifts evenly", 10, sweeps=300)
    calm = simulated.alarms("normal", 10, sweeps=300)
    assert drifting["trend_percent"] > 50
    assert calm["trend_percent"] < 10
    assert calm["either_percent"] < 15


def test_one_outlying_block_costs_the_verdict_and_the_range_without_one_shows_it() -> None:
    found = simulated.alarms("one outlying block", 5, sweeps=300)
    assert found["told_apart_percent"] < 60
    assert found["other_verdict_without_one_percent"] > 90


def test_the_page_was_made_by_this_code_and_these_data() -> None:
    """Counts of the measured trials change with the committed studies: the result has to be written again."""
    result = json.loads(simulated.RESULT.read_text())
    assert result["measured_trials"] == len(simulated.measured())
    assert result["measured_arms"] == len(simulated.measured_arms())
    name = "resampled from measured trials"
    assert result["coverage_percent"][name]["5"] == pytest.approx(simulated.coverage(name, 5))
