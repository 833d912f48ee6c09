"""Simulated gates judge as the command does, and made the page."""

import json
import math
from pathlib import Path

import pytest

from tests.analysis import simulated_gates
from tests.analysis.simulated_gates import BLOCKS, TRUE_PERCENT, bounds, rates
from vbench.analysis.statistics import improvement

PAGE = Path(__file__).resolve().parents[2] / "docs" / "baselines.md"


def test_the_interval_of_a_slowdown_is_that_of_the_improvement() -> None:
    low, high = bounds(5, 5.0, None)
    random = simulated_gates.np.random.default_rng([simulated_gates.simulated.SEED, 5, 50, 1])
    old = random.normal(0, simulated_gates.SPREAD, (simulated_gates.STUDIES, 5))
    new = random.normal(math.log1p(0.05), simulated_gates.SPREAD, (simulated_gates.STUDIES, 5))
    found = improvement([math.exp(value) for value in old[0]], [math.exp(value) for value in new[0]])
    assert found.low_percent == pytest.approx(-100 * math.expm1(high[0]))
    assert found.high_percent == pytest.approx(-100 * math.expm1(low[0]))


def test_a_paired_gate_is_wrong_as_rarely_as_it_claims() -> None:
    for blocks in BLOCKS:
        at_bound = rates(blocks, 5.0, None)
        assert at_bound["fails_percent"] <= 2.5 + 0.8
        assert at_bound["passes_percent"] <= 2.5 + 0.8
        assert rates(blocks, 0.0, None)["fails_percent"] <= 0.5


def test_the_page_quotes_what_this_code_gives() -> None:
    data = json.loads(simulated_gates.RESULT.read_text())
    page = PAGE.read_text()
    assert data["rates"]["paired"]["5"] == [pytest.approx(rates(5, slower, None)) for slower in TRUE_PERCENT]
    for kind, of_blocks in data["rates"].items():
        for blocks, points in of_blocks.items():
            cells = [f"{point[of]:.0f}%" for of in ("fails_percent", "passes_percent") for point in points]
            assert f"| {kind} | {blocks} | {' | '.join(cells)} |" in page, (kind, blocks)
