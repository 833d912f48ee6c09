"""Simulated comparisons decide as the real ones do, are wrong as rarely as they claim, and made the page."""

import json

import numpy as np
import pytest

from tests.analysis import simulated_decisions
from tests.analysis.simulated_decisions import BLOCKS, NOISES, PERCENT, errors, holm, power, rates, verdicts
from vbench.analysis import effects
from vbench.analysis.decisions import decide

MOST_WRONG = 5.0 + 1.5
"""Percent; 2,000 comparisons scatter by 0.5."""


@pytest.mark.parametrize("name", NOISES)
def test_vectorized_verdicts_are_those_of_a_comparison(name: str) -> None:
    logs = errors(name, 5)[:40] + 0.03
    differs, equivalent = verdicts(logs)
    for study, rows in enumerate(logs.tolist()):
        found = [one.verdict for one in decide(rows, PERCENT)]
        assert [one in ("faster", "slower") for one in found] == list(differs[study])
        assert [one == "equivalent" for one in found] == list(equivalent[study])


def test_vectorized_holm_is_that_of_effects() -> None:
    p = np.random.default_rng(1).uniform(0, 0.2, (50, 4))
    assert np.allclose(holm(p), [effects.holm(list(row)) for row in p])


@pytest.mark.parametrize("name", NOISES)
def test_at_most_5_percent_of_comparisons_are_wrong_whatever_the_noise(name: str) -> None:
    found = rates(name, 5)
    assert found["false_difference_percent"] <= MOST_WRONG
    assert found["false_equivalence_percent"] <= MOST_WRONG
    assert found["coverage_percent"] >= 93
    if name in ("normal", "drifting"):
        assert found["coverage_percent"] <= 97


def test_the_page_was_made_by_this_code() -> None:
    data = json.loads(simulated_decisions.RESULT.read_text())
    assert data["rates"].keys() == set(NOISES)
    assert data["rates"]["skewed"]["5"] == pytest.approx(rates("skewed", 5))
    (point,) = (one for one in data["power"]["0.04"]["8"] if one["effect_percent"] == 5)
    assert point == pytest.approx(power(0.04, 8, 5.0))
    assert [len(data["power"][spread]) for spread in data["power"]] == [len(BLOCKS)] * 3
