"""Quantiles have the intervals of published tables and of scipy, and none without the requests for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import lognorm, quantile_test

from vbench.record.metrics import latencies
from vbench.record.quantiles import PERCENTILES, percentile, quantile, ranks, requests_needed, supported

times = st.lists(st.floats(0.001, 1e4), min_size=1, max_size=50)

MEDIAN_RANKS = {6: (1, 6), 8: (1, 8), 10: (2, 9), 15: (4, 12), 20: (6, 15), 25: (8, 18), 30: (10, 21)}
"""n -> ranks of the 95% interval of the median, as in printed tables (Conover, Practical Nonparametric
Statistics; Hahn and Meeker, Statistical Intervals)."""


@given(times, st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)))


@pytest.mark.parametrize(("n", "expected"), MEDIAN_RANKS.items())
def test_the_ranks_of_the_median_are_those_of_printed_tables(n: int, expected: tuple[int, int]) -> None:
    assert ranks(n, 50) == expected


@pytest.mark.parametrize("percent", PERCENTILES.values())
def test_ranks_are_scipys(percent: float) -> None:
    for n in (1, 5, 6, 7, 35, 36, 37, 48, 99, 100, 367, 368, 369, 500, 1000):
        interval = quantile_test(np.arange(1, n + 1.0), q=0, p=percent / 100).confidence_interval(0.95)
        has_interval = not np.isnan(interval.low) and not np.isnan(interval.high)
        assert ranks(n, percent) == ((interval.low, interval.high) if has_interval else None), n


@pytest.mark.parametrize(("name", "needed"), [("p50", 6), ("p90", 36), ("p99", 368)])
def test_a_quantile_needs_the_requests_that_support_it(name: str, needed: int) -> None:
    assert requests_needed(PERCENTILES[name]) == needed
    for count in (needed - 1, needed):
        values_s = [float(i) for i in range(1, count + 1)]
        parts = {f"latency_{name}{end}_s" for end in ("", "_low", "_high")}
        assert parts & latencies(values_s).keys() == (parts if count == needed else set())
        assert supported(f"latency_{name}_s", count) is (count == needed)
        assert supported(f"first_byte_{name}_low_s", count) is (count == needed)
    assert supported("latency_mean_s", 1)


@pytest.mark.parametrize(("percent", "n"), [(50, 6), (50, 48), (90, 36), (90, 48), (99, 368), (99, 1000)])
def test_95_of_100_intervals_contain_the_true_quantile_of_a_skewed_distribution(
    percent: float, n: int
) -> None:
    draw = np.random.default_rng(20260101)
    true = lognorm.ppf(percent / 100, 0.8)
    ends = ranks(n, percent)
    assert ends is not None
    ordered = np.sort(draw.lognormal(0, 0.8, (4000, n)), axis=1)
    held = np.mean((ordered[:, ends[0] - 1] <= true) & (true <= ordered[:, ends[1] - 1]))
    assert held >= 0.95 - 0.01, "4,000 draws scatter by 0.3 points"
    first = quantile(list(ordered[0]), percent)
    assert first is not None
    assert (first.low, first.high) == (ordered[0, ends[0] - 1], ordered[0, ends[1] - 1])
    assert first.low <= first.value <= first.high


@given(st.integers(1, 400), st.integers(1, 99))
def test_an_interval_exists_from_the_number_that_is_needed_on(n: int, percent: int) -> None:
    assert (ranks(n, percent) is not None) is (n >= requests_needed(percent))
