"""The committed comparisons: their pages are what their data give, and their statistics can be recomputed."""

import json
from pathlib import Path
from typing import Any

import pytest

from vbench.analysis import BREAKDOWN, EFFECTS, LATENCY, NICS, PAGE, TRANSFER_RATE, comparison_file
from vbench.analysis.report.markdown import page
from vbench.analysis.results import Comparison
from vbench.analysis.statistics import improvement, mean

STUDIES = Path(__file__).resolve().parents[2] / "experiments"
FOLDERS = sorted(path.parent for path in STUDIES.rglob(comparison_file.DATA))


def name(folder: Path) -> str:
    return str(folder.relative_to(STUDIES))


@pytest.fixture(params=FOLDERS, ids=name)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def comparison(folder: Path) -> Comparison:
    return comparison_file.read(folder)


def test_a_comparison_is_read_back_as_it_was_written(folder: Path, comparison: Comparison) -> None:
    assert json.loads(json.dumps(comparison_file.plain(comparison))) == comparison_file.as_current(
        json.loads((folder / comparison_file.DATA).read_text())
    )


def test_the_page_is_what_the_data_give(folder: Path, comparison: Comparison) -> None:
    every = (EFFECTS, LATENCY, BREAKDOWN, TRANSFER_RATE)
    plots = [(file, caption) for file, caption in every if (folder / file).exists()]
    nics = [
        (file, f"NICs over time: {scenario.name}")
        for number, scenario in enumerate(comparison.scenarios)
        if (folder / (file := f"{NICS}{number}.png")).exists()
    ]
    assert (LATENCY in plots, EFFECTS in plots) == (True, comparison.screening is not None)
    assert (BREAKDOWN in plots) == any(scenario.has_stages for scenario in comparison.scenarios)
    assert (folder / PAGE).read_text() == page(comparison, plots, nics)


def test_improvements_and_means_come_out_as_they_were_recorded(comparison: Comparison) -> None:
    arms = {
        (scenario.name, arm.name): {trial.block: trial.latency_mean_s for trial in arm.trials}
        for scenario in comparison.scenarios
        for arm in scenario.arms
    }
    for table in comparison.tables:
        for row in table.rows:
            old, new = (
                [arms[row.scenario, arm][block] for block in row.blocks]
                for arm in (table.baseline, table.candidate)
            )
            assert row.improvement is not None
            assert numbers(improvement(old, new)) == pytest.approx(numbers(row.improvement), rel=1e-9)
            assert numbers(mean(old)) == pytest.approx(numbers(row.baseline), rel=1e-9)
            assert numbers(mean(new)) == pytest.approx(numbers(row.candidate), rel=1e-9)


def numbers(value: Any) -> dict[str, float]:
    """The fields of a dataclass that are numbers."""
    fields = {field: getattr(value, field) for field in value.__slots__}
    return {field: number for field, number in fields.items() if isinstance(number, int | float)}
