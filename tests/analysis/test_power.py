"""Power is that of published tables, and of simulated studies."""

import math

import numpy as np
import pytest
from scipy.stats import t

from vbench.analysis.power import (
    Bounds,
    blocks_for_equivalence,
    blocks_to_detect,
    difference_power,
    equivalence_bounds,
    equivalence_power,
)

BIOEQUIVALENCE = Bounds(low=math.log(0.8), high=math.log(1.25))


@pytest.mark.parametrize(
    ("variation", "subjects", "power"),
    [(0.2, 20, 0.834680), (0.25, 28, 0.807439), (0.3, 40, 0.815845)],
)
def test_the_power_of_two_one_sided_tests_is_that_of_published_tables(
    variation: float, subjects: int, power: float
) -> None:
    """Two-period crossover trials with a true ratio of 0.95, as the R package PowerTOST documents them."""
    spread = math.sqrt(math.log1p(variation**2))
    found = equivalence_power(
        math.log(0.95), spread * math.sqrt(2 / subjects), subjects - 2, 0.05, BIOEQUIVALENCE
    )
    assert found == pytest.approx(power, abs=2e-4)


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_the_pairs_that_detect_an_effect_are_those_of_published_tables(effect: float, pairs: int) -> None:
    """Cohen's small, medium and large effect, paired, two-sided 5%, power 80% (as G*Power computes them)."""
    assert blocks_to_detect(effect, 1.0, 0.05) == pairs


@pytest.mark.parametrize(("blocks", "effect"), [(3, 0.0), (5, 0.03), (10, 0.04), (10, 0.0)])
def test_power_is_what_simulated_studies_reach(blocks: int, effect: float) -> None:
    spread, bounds = 0.03, equivalence_bounds(5)
    logs = np.random.default_rng(20260101).normal(effect, spread, (20_000, blocks))
    centre, error = logs.mean(axis=1), logs.std(axis=1, ddof=1) / math.sqrt(blocks)
    differs = np.abs(centre) / error > t.isf(0.025, blocks - 1)
    distance = np.minimum(centre - bounds.low, bounds.high - centre)
    equivalent = distance / error > t.isf(0.05, blocks - 1)
    standard_error = spread / math.sqrt(blocks)
    assert difference_power(effect, standard_error, blocks - 1, 0.05) == pytest.approx(
        differs.mean(), abs=0.012
    )
    assert equivalence_power(effect, standard_error, blocks - 1, 0.05, bounds) == pytest.approx(
        equivalent.mean(), abs=0.012
    )


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.1])
def test_one_block_fewer_has_less_power_than_wanted(spread: float) -> None:
    bounds = equivalence_bounds(5)
    detect = blocks_to_detect(0.05, spread, 0.05)
    equal = blocks_for_equivalence(0.0, spread, 0.05, bounds)
    assert detect is not None
    assert equal is not None

    def powers(blocks: int, *, differs: bool) -> float:
        error = spread / math.sqrt(blocks)
        if differs:
            return difference_power(0.05, error, blocks - 1, 0.05)
        return equivalence_power(0.0, error, blocks - 1, 0.05, bounds)

    assert powers(detect, differs=True) >= 0.8 > powers(detect - 1, differs=True)
    assert powers(equal, differs=False) >= 0.8 > powers(equal - 1, differs=False)


def test_what_no_number_of_blocks_shows_has_none() -> None:
    bounds = equivalence_bounds(5)
    assert blocks_to_detect(0.001, 1.0, 0.05) is None
    assert blocks_for_equivalence(0.0, 5.0, 0.05, bounds) is None
    assert blocks_for_equivalence(0.2, 0.01, 0.05, bounds) is None
    assert blocks_to_detect(0.05, 0.0, 0.05) == 2
