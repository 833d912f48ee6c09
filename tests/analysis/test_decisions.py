"""Each row has one verdict, wrong in at most 5% of comparisons, and an open one says what it would take."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from tests.support import sweeps
from vbench.analysis import PAGE, comparison_file
from vbench.analysis.decisions import blocks_to_decide, decide, difference_p, equivalence_p, verdict_with
from vbench.analysis.power import equivalence_bounds
from vbench.cli.compare import main

ROWS, BLOCKS = 4, 5
STUDIES = 1000


@pytest.mark.parametrize("seed", range(5))
def test_both_tests_are_scipys(seed: int) -> None:
    logs = np.random.default_rng(seed).normal(0.01, 0.03, 5)
    bounds = equivalence_bounds(5)
    assert difference_p(list(logs)) == pytest.approx(ttest_1samp(logs, 0).pvalue)
    above = ttest_1samp(logs, bounds.low, alternative="greater").pvalue
    below = ttest_1samp(logs, bounds.high, alternative="less").pvalue
    assert equivalence_p(list(logs), bounds) == pytest.approx(max(above, below))


def test_the_bounds_are_percent_of_the_baselines_latency() -> None:
    bounds = equivalence_bounds(5)
    assert math.exp(bounds.low) == pytest.approx(0.95)
    assert math.exp(bounds.high) == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("logs", "verdict", "within"),
    [
        ([-0.2, -0.21, -0.19], "faster", False),
        ([0.2, 0.21, 0.19], "slower", False),
        ([0.001, -0.001, 0.0005], "equivalent", True),
        ([-0.010, -0.011, -0.0105], "faster", True),
        ([0.1, -0.1, 0.05], "inconclusive", False),
        ([0.0, 0.0, 0.0], "equivalent", True),
        ([0.2], "one block: no interval", False),
    ],
)
def test_a_row_has_one_verdict(logs: list[float], verdict: str, within: bool) -> None:
    (decision,) = decide([logs])
    assert (decision.verdict, decision.is_within_bound) == (verdict, within)
    assert (decision.needed is None) == (verdict not in ("inconclusive", "one block: no interval"))


def test_holms_correction_is_over_all_rows_with_an_interval() -> None:
    strong, weak, one = [-0.3, -0.31, -0.29], [-0.06, -0.09, -0.08], [0.3]
    first, second, third = decide([strong, weak, one])
    assert (first.rows, third.rows) == (2, 2)
    assert first.difference_holm_p == pytest.approx(2 * difference_p(strong))
    assert second.difference_holm_p == pytest.approx(difference_p(weak))
    assert third.difference_holm_p is None
    (alone,) = decide([weak])
    assert alone.difference_holm_p == alone.difference_p
    assert verdict_with([strong, weak, one], 1, weak, 5) == second.verdict
    assert verdict_with([strong, weak, one], 1, [0.3, -0.3], 5) == "inconclusive"
    assert verdict_with([strong, weak, one], 2, one, 5) == "one block: no interval"


@pytest.mark.parametrize(
    ("percent", "wrong"), [(0.0, ("faster", "slower")), (5.0, ("equivalent",)), (-5.0, ("equivalent",))]
)
def test_at_most_5_percent_of_comparisons_have_a_wrong_verdict(
    percent: float, wrong: tuple[str, ...]
) -> None:
    """Four rows with the same true difference: none, or just the bound."""
    draw = np.random.default_rng([20260101, int(percent) + 5])
    studies = draw.normal(math.log1p(percent / 100), 0.02, (STUDIES, ROWS, BLOCKS)).tolist()
    false = sum(any(one.verdict in wrong for one in decide(rows)) for rows in studies)
    assert false / STUDIES <= 0.05 + 0.014, "1,000 studies scatter by 0.7 points"


def test_the_blocks_that_are_advised_decide_between_the_bound_and_none() -> None:
    spread, bounds = 0.04, equivalence_bounds(5)
    blocks = blocks_to_decide(spread, 0.05, bounds)
    assert blocks is not None
    draw = np.random.default_rng(20260101)
    for true, right in ((0.0, "equivalent"), (bounds.low, "faster"), (math.log(1.06), "slower")):
        rows = draw.normal(true, spread, (500, blocks)).tolist()
        share = sum(decide([logs])[0].verdict == right for logs in rows) / 500
        assert share >= 0.8 - 0.04, (true, share)


def test_an_open_row_says_how_many_blocks_and_hours_it_would_take() -> None:
    logs = [0.05, -0.05, 0.02, -0.01]
    (decision,) = decide([logs], block_s=600.0)
    needed = decision.needed
    assert needed is not None
    assert needed.blocks == blocks_to_decide(float(np.std(logs, ddof=1)), 0.05, equivalence_bounds(5))
    assert needed.blocks is not None
    assert needed.further_blocks == needed.blocks - 4
    assert needed.hours == pytest.approx(needed.blocks * 600 / 3600)
    (noisy,) = decide([[3.0, -3.0]])
    assert noisy.needed is not None
    assert noisy.needed.blocks is None


def test_enough_blocks_without_an_answer_ask_for_more_for_the_difference_that_was_seen() -> None:
    """2.5% lies between none and the bound: neither is shown by blocks that tell these two apart."""
    logs = [math.log(0.975) + 0.098 * (-1) ** block for block in range(40)]
    enough = blocks_to_decide(float(np.std(logs, ddof=1)), 0.05, equivalence_bounds(5))
    assert enough is not None
    assert enough <= 40
    (decision,) = decide([logs])
    assert decision.verdict == "inconclusive"
    assert decision.needed is not None
    assert decision.needed.blocks is not None
    assert decision.needed.blocks > 40


NOISE = (0.004, -0.004, 0.001, -0.002, 0.003)


def test_a_comparison_says_equivalent_and_the_bound_can_be_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def latency(settings: Mapping[str, str], block: int) -> float:
        return 5 * math.exp(NOISE[block] * (1 if settings["runtime"] == "oss" else -1))

    folder = sweeps.write_sweep(tmp_path / "s", {"runtime": ["oss", "anyscale"]}, 5, latency)
    assert main([str(folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "two one-sided tests that they differ by less than 5%" in printed
    assert "equivalent within ±5% |" in (folder / PAGE).read_text()
    (row,) = json.loads((folder / comparison_file.DATA).read_text())["tables"][0]["rows"]
    assert row["decision"]["verdict"] == "equivalent"
    assert row["log_ratios"] == pytest.approx([-2 * noise for noise in NOISE])
    assert main([str(folder), "--equivalence", "0.3"]) == 0
    page = (folder / PAGE).read_text()
    assert "Inconclusive. To tell a difference of 0.3% from none, run a new sweep with blocks=" in page
    assert "| p ≠ | p ±0.3% | Verdict |" in page
    assert main([str(folder), "--equivalence", "0"]) == 2
    assert "--equivalence 0 must be above 0" in capsys.readouterr().err
    assert main([str(folder), "--render"]) == 0
    assert (folder / PAGE).read_text() == page
