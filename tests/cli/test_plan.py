"""A plan says how many blocks and hours a study takes, and by what spread."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from tests.support import sweeps
from vbench.analysis import compare_sweep, comparison_file
from vbench.analysis.decisions import decide
from vbench.analysis.power import blocks_for_equivalence, blocks_to_detect, equivalence_bounds
from vbench.analysis.study_plan import plan, spread_at_most
from vbench.cli.plan import main

NOISE = (0.02, -0.03, 0.01, -0.02, 0.02)


def latency(settings: Mapping[str, str], block: int) -> float:
    return 5 * math.exp(NOISE[block] if settings["runtime"] == "anyscale" else 0)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks of 30 s per trial."""
    folder = tmp_path_factory.mktemp("pilot")
    return sweeps.write_sweep(
        folder / "s",
        {"mode": ["chunked", "combined"], "runtime": ["oss", "anyscale"]},
        2,
        latency,
        phases_s=lambda *_: {"cluster": 10.0, "measure": 20.0},
    )


def test_a_pilot_of_two_blocks_is_planned_from(pilot: Path) -> None:
    comparison = compare_sweep(pilot)
    assert comparison is not None
    made = plan(comparison, 5)
    first, second = made.rows
    assert (first.scenario, second.scenario) == ("chunked inference", "combined inference")
    spread = float(np.std([0.02, -0.03], ddof=1))
    assert first.spread_percent == pytest.approx(100 * spread)
    assert first.blocks == 2
    assert made.level == 0.025
    assert first.detect.by_spread == blocks_to_detect(math.log(1.05), spread, 0.025)
    assert first.equivalence.by_spread == blocks_for_equivalence(0, spread, 0.025, equivalence_bounds(5))
    assert first.detect.at_most == blocks_to_detect(math.log(1.05), spread_at_most(spread, 2), 0.025)
    assert made.block_s == pytest.approx(4 * 30)
    assert made.hours(30) == pytest.approx(1.0)
    more = plan(comparison, 2, 10, 0.9)
    assert (more.rows[0].detect.by_spread or 0) > (first.detect.by_spread or 0)
    assert (more.rows[0].equivalence.by_spread or 0) < (first.equivalence.by_spread or 0)


def test_the_true_spread_is_below_its_bound_in_80_percent_of_pilots() -> None:
    draw = np.random.default_rng(20260101)
    for blocks in (2, 5):
        spreads = draw.normal(0, 1, (5000, blocks)).std(axis=1, ddof=1)
        bounds = spreads * spread_at_most(1.0, blocks)
        assert np.mean(bounds >= 1) == pytest.approx(0.8, abs=0.02)
    assert spread_at_most(1.0, 2) == pytest.approx(1 / math.sqrt(chi2.ppf(0.2, 1)))


def test_a_study_as_long_as_planned_decides_in_80_percent_of_cases(pilot: Path) -> None:
    comparison = compare_sweep(pilot)
    assert comparison is not None
    row = plan(comparison, 5).rows[0]
    blocks = max(row.detect.by_spread or 0, row.equivalence.by_spread or 0)
    draw = np.random.default_rng(20260101)
    for effect, verdict in ((0.0, "equivalent"), (math.log(1.05), "slower")):
        # Two rows, as in the pilot; the other one is far from any bound.
        logs = draw.normal(effect, row.spread_percent / 100, (400, blocks)).tolist()
        other = draw.normal(effect, row.spread_percent / 100, (400, blocks)).tolist()
        right = sum(decide([one, two])[0].verdict == verdict for one, two in zip(logs, other, strict=True))
        assert right / 400 >= 0.8 - 0.05, verdict


def test_the_command_prints_blocks_hours_and_the_end(pilot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(pilot), "--effect", "5"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Tests at 0.05 / 2 rows" in text
    assert re.search(
        r"Both, in every row: blocks=\d+, about \d+ min with all arms, until [\d-]* ?\d+:\d+", text
    )
    assert re.search(r"To be on the safe side: blocks=\d+, about [\d.]+ h with all arms, until ", text)


def test_a_study_with_results_of_an_earlier_version_is_planned_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["aa", "--effect", "3"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "by the spread of aa" in text
    assert "To find 3%" in text
    assert "with all arms" in text


def test_a_comparison_alone_is_enough(pilot: Path, tmp_path: Path) -> None:
    comparison = compare_sweep(pilot, equivalence_percent=7)
    assert comparison is not None
    comparison_file.write(comparison, tmp_path)
    read = comparison_file.read(tmp_path)
    assert plan(read, 5).rows == plan(comparison, 5).rows
    assert plan(read, 5).equivalence_percent == 7
    assert main([str(tmp_path)]) == 0


def test_bad_input_is_refused_in_a_sentence(
    pilot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = sweeps.write_sweep(tmp_path / "one", {"runtime": ["oss", "anyscale"]}, 1, latency)
    for arguments, said in (
        (["aaa"], "aaa is neither a folder nor a study: did you mean 'aa'"),
        (["data_path"], "has no results: run a pilot of two blocks first"),
        ([str(tmp_path)], "holds neither sweep.json nor comparison.json"),
        ([str(one)], "has two blocks with both arms, so its spread is unknown"),
        ([str(pilot), "--effect", "0"], "--effect 0 must be above 0"),
        ([str(pilot), "--power", "100"], "--power 100 must be above 0 and below 100"),
        ([str(pilot), "--equivalence", "nan"], "--equivalence nan must be above 0"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err, arguments
