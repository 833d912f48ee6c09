"""Effects over blocks: exact without noise, the same as least squares, and with few false alarms."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbench.analysis.effects import contrast, error_variance, family, holm, paired, unsteady
from vbench.config.fractional_factorial import interactions, runs

SEED = 20260101
SWEEPS = 600
SPREAD = 0.05
"""Of a trial's log latency."""


def signs(factors: int, *chosen: int) -> list[int]:
    """The product of the chosen factors' columns."""
    return [math.prod(2 * run[factor] - 1 for factor in chosen) for run in runs(factors)]


@settings(deadline=None, max_examples=40)
@given(data=st.data(), factors=st.integers(2, 11), blocks=st.integers(1, 4))
def test_known_effects_come_back_exactly_without_noise(
    data: st.DataObject, factors: int, blocks: int
) -> None:
    """A setting alone multiplies by exp(alone); two together by exp(joint) more."""
    number = st.floats(-1, 1)
    alone = data.draw(st.lists(number, min_size=factors, max_size=factors))
    joint = {
        pair: data.draw(number) for pair in [(i, j) for i in range(factors) for j in range(i + 1, factors)]
    }
    hours = data.draw(st.lists(number, min_size=blocks, max_size=blocks))
    logs = [
        [
            hour
            + sum(effect * run[place] for place, effect in enumerate(alone))
            + sum(effect * run[i] * run[j] for (i, j), effect in joint.items())
            for run in runs(factors)
        ]
        for hour in hours
    ]
    for place in range(factors):
        partners = [effect for pair, effect in joint.items() if place in pair]
        truth = alone[place] + sum(partners) / 2  # over both values of the others
        assert contrast(signs(factors, place), logs).value == pytest.approx(truth, abs=1e-9)
    for string in interactions(factors):
        value = contrast(signs(factors, *string[0]), logs, scale=2).value
        assert value == pytest.approx(sum(joint[pair] for pair in string), abs=1e-9)


@pytest.mark.parametrize(("factors", "blocks"), [(4, 2), (8, 3), (16, 2)])
def test_effects_and_errors_are_those_of_least_squares(factors: int, blocks: int) -> None:
    """A fit of blocks, main effects and strings of interactions, which take all degrees of these designs."""
    random = np.random.default_rng([SEED, factors])
    count = len(runs(factors))
    logs = random.normal(0, SPREAD, (blocks, count)) + random.normal(0, 0.3, (blocks, 1))
    columns = [signs(factors, place) for place in range(factors)]
    columns += [signs(factors, *string[0]) for string in interactions(factors)]
    model = np.column_stack(
        [np.kron(np.eye(blocks), np.ones((count, 1)))] + [np.tile(column, blocks) for column in columns]
    )
    fit, residuals, rank, _ = np.linalg.lstsq(model, logs.ravel(), rcond=None)
    degrees = logs.size - rank
    error = math.sqrt(residuals[0] / degrees * np.linalg.inv(model.T @ model)[-1, -1])
    for column, coefficient in zip(columns, fit[blocks:], strict=True):
        effect = contrast(column, logs.tolist())
        assert effect.value == pytest.approx(2 * coefficient, abs=1e-12)
        assert effect.standard_error == pytest.approx(2 * error)
        assert effect.degrees == degrees == (count - 1) * (blocks - 1)


def test_an_effect_in_percent_has_its_interval_and_p() -> None:
    from scipy.stats import t, ttest_1samp

    ratios = [math.log(ratio) for ratio in (0.80, 0.78, 0.83, 0.79)]
    (effect,) = family([paired(ratios)])
    test = ttest_1samp(ratios, 0)
    interval = test.confidence_interval(0.95)
    assert effect.change_percent == pytest.approx(100 * (math.exp(statistics.fmean(ratios)) - 1))
    assert effect.low_percent == pytest.approx(100 * (math.exp(interval.low) - 1))
    assert effect.high_percent == pytest.approx(100 * (math.exp(interval.high) - 1))
    assert effect.p == effect.holm_p == pytest.approx(test.pvalue)
    assert (effect.direction, effect.blocks) == ("lower", 4)
    assert t.isf(0.025, 3) > 3


def test_holms_correction_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_keeps_the_order_and_lies_between_none_and_bonferronis(
    p_values: list[float],
) -> None:
    corrected = holm(p_values)
    for p, one in zip(p_values, corrected, strict=True):
        assert p <= one <= min(1.0, len(p_values) * p)
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[index] for index in ranked] == sorted(corrected)


def test_one_block_has_no_interval_and_no_block_no_effect() -> None:
    effect = contrast(signs(2, 0), [[0.0, 1.0, 0.0, 1.0]])
    assert (effect.value, effect.standard_error) == (1.0, None)
    (shown,) = family([effect])
    assert shown.direction == "one block: no interval"
    assert (shown.low_percent, shown.high_percent, shown.p, shown.holm_p) == (None, None, None, None)
    (shown,) = family([paired([0.1])])
    assert shown.direction == "one block: no interval"
    with pytest.raises(ValueError, match="needs a block"):
        contrast(signs(2, 0), [])
    with pytest.raises(ValueError, match="as many signs"):
        contrast([1, 1, 1, -1], [[0.0] * 4])


def test_effects_without_any_scatter_are_certain() -> None:
    log = [[0.0, 0.5, 0.0, 0.5], [1.0, 1.5, 1.0, 1.5]]
    main, none = family([contrast(signs(2, 0), log), contrast(signs(2, 1), log)])
    assert (main.direction, main.holm_p) == ("higher", 0.0)
    assert (none.direction, none.holm_p) == ("inconclusive", 1.0)


Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

NOISES: dict[str, Noise] = {
    "normal": lambda random, shape: random.normal(0, SPREAD, shape),
    "skewed": lambda random, shape: SPREAD * random.exponential(1, shape),
    "some arms noisier": lambda random, shape: (
        random.normal(0, 1, shape) * SPREAD * np.linspace(0.5, 2, shape[1])
    ),
}


def verdicts(noise: Noise, blocks: int, name: str, truth: float = 0.0) -> list[list[str]]:
    """Directions of eight effects in each of many simulated sweeps; the first setting has ``truth``."""
    random = np.random.default_rng([SEED, blocks, list(NOISES).index(name)])
    columns = [signs(8, place) for place in range(8)]
    found = []
    for _ in range(SWEEPS):
        logs = noise(random, (blocks, 16)) + random.normal(0, 0.2, (blocks, 1))
        logs += truth / 2 * np.array(columns[0])
        found.append([one.direction for one in family([contrast(each, logs.tolist()) for each in columns])])
    return found


@pytest.mark.parametrize("blocks", [2, 3])
@pytest.mark.parametrize("noise", NOISES)
def test_at_most_5_percent_of_sweeps_without_effects_report_any(noise: str, blocks: int) -> None:
    """600 sweeps scatter by 0.9 points."""
    wrong = [one for one in verdicts(NOISES[noise], blocks, noise) if set(one) != {"inconclusive"}]
    percent = 100 * len(wrong) / SWEEPS
    print(f"false alarms with {noise} noise at {blocks} blocks: {percent:.1f}%")
    assert 1 <= percent <= 6.5


def test_changes_of_one_key_at_a_time_raise_as_few_false_alarms() -> None:
    """Eight arms against one baseline, which makes their ratios alike."""
    blocks = 3
    random = np.random.default_rng([SEED, blocks])
    wrong = 0
    for _ in range(SWEEPS):
        logs = random.normal(0, SPREAD, (9, blocks)) + random.normal(0, 0.2, blocks)
        effects = family([paired((arm - logs[0]).tolist()) for arm in logs[1:]])
        wrong += {effect.direction for effect in effects} != {"inconclusive"}
    assert 1 <= 100 * wrong / SWEEPS <= 6.5


def test_a_setting_that_matters_is_found_and_no_other() -> None:
    """10% at a spread of 5% per trial, in three blocks."""
    found = verdicts(NOISES["normal"], 3, "normal", truth=math.log(1.1))
    assert sum(one[0] == "higher" for one in found) / SWEEPS > 0.95
    assert sum(set(one[1:]) != {"inconclusive"} for one in found) / SWEEPS <= 0.065


def test_the_blocks_for_a_precision_are_the_fewest_that_reach_it() -> None:
    random = np.random.default_rng(SEED)
    logs = random.normal(0, 0.2, (3, 16)).tolist()
    effect = contrast(signs(8, 0), logs)
    (wide,) = family([effect], wanted_points=4)
    assert wide.half_width_points is not None
    assert wide.half_width_points > 4
    assert wide.half_width_points == pytest.approx(((wide.high_percent or 0) - (wide.low_percent or 0)) / 2)
    blocks = wide.blocks_for_precision
    assert blocks is not None
    assert blocks > 3
    assert effect.standard_error is not None

    def width(count: int) -> float:
        error = (effect.standard_error or 0) * math.sqrt(3 / count)
        (one,) = family([replace(effect, standard_error=error, degrees=15 * (count - 1), blocks=count)])
        return one.half_width_points or 0

    assert width(blocks) <= 4 < width(blocks - 1)
    (narrow,) = family([effect], wanted_points=wide.half_width_points)
    assert narrow.blocks_for_precision == 3
    (none,) = family([effect], wanted_points=1e-6)
    assert none.blocks_for_precision is None


def test_an_effect_that_changes_over_the_blocks_is_noticed() -> None:
    random = np.random.default_rng(SEED)
    columns = [signs(8, place) for place in range(8)]
    logs = random.normal(0, 0.01, (4, 16)) + np.outer([0.1, -0.1, 0.1, -0.1], columns[2])
    tests = unsteady(columns, logs.tolist())
    assert tests[2] < 0.001
    assert min(tests[:2] + tests[3:]) > 0.05
    assert unsteady(columns, [[0.0] * 16]) == [1.0] * 8


def test_the_error_is_what_blocks_and_runs_do_not_explain() -> None:
    exact = [[block + run for run in range(4)] for block in range(3)]
    assert error_variance(exact) == (pytest.approx(0), 6)
    assert error_variance([[1.0, 2.0]]) == (None, 0)
