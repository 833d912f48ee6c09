"""Simulated sweeps with blocks=auto decide as real ones do, are wrong as rarely as they claim, and made the
page."""

import json

import pytest

from tests.analysis import simulated_looks
from tests.analysis.simulated_decisions import NOISES, PERCENT, SPREADS, errors, verdicts
from tests.analysis.simulated_looks import LOOKS, TRUE_EFFECTS, power, rates, stop
from vbench.analysis.decisions import decide

MOST_WRONG = 5.0 + 1.0
"""Percent; 2,000 comparisons scatter by 0.5."""


@pytest.mark.parametrize("blocks", LOOKS.planned)
def test_verdicts_at_a_look_are_those_of_a_comparison(blocks: int) -> None:
    logs, share = errors("normal", blocks)[:40] * 0.1 + 0.02, LOOKS.look(blocks).share
    differs, equivalent = verdicts(logs, PERCENT, share)
    assert differs.any()
    for study, rows in enumerate(logs.tolist()):
        found = [one.verdict for one in decide(rows, PERCENT, share=share)]
        assert [one in ("faster", "slower") for one in found] == list(differs[study])
        assert [one == "equivalent" for one in found] == list(equivalent[study])


def test_a_sweep_stops_at_the_first_look_that_decides_all_rows() -> None:
    found = stop(errors("normal", LOOKS.planned[-1])[:200] * 0.4)
    assert set(found.blocks) <= set(LOOKS.planned)
    assert len(set(found.blocks)) > 1
    early = found.blocks < LOOKS.planned[-1]
    assert (found.differs | found.equivalent)[early].all()


@pytest.mark.parametrize("name", NOISES)
def test_at_most_5_percent_of_sweeps_are_wrong_and_the_interval_covers_the_truth(name: str) -> None:
    found = rates(name)
    assert found["false_difference_percent"] <= MOST_WRONG
    assert found["false_equivalence_percent"] <= MOST_WRONG
    coverage = found["coverage_percent"]
    assert isinstance(coverage, dict)
    assert coverage.keys() == TRUE_EFFECTS.keys()
    assert min(coverage.values()) >= 93


def test_the_page_was_made_by_this_code() -> None:
    data = json.loads(simulated_looks.RESULT.read_text())
    assert data["rates"].keys() == set(NOISES)
    then, now = data["rates"]["skewed"], rates("skewed")
    assert then.pop("coverage_percent") == pytest.approx(now.pop("coverage_percent"))
    assert then == pytest.approx(now)
    assert data["power"].keys() == {str(spread) for spread in SPREADS}
    (point,) = (one for one in data["power"]["0.04"] if one["effect_percent"] == 5)
    assert point == pytest.approx(power(0.04, 5.0))
