"""A scenario that was asked for is in the table, whatever became of its trials; no gate passes without it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import mlflow_runs, sweeps
from vbench.analysis import PAGE, compare_sweep
from vbench.analysis.results import Comparison
from vbench.cli.compare import main
from vbench.record.files import ARTIFACTS, SWEEP, TRIAL, RecordError
from vbench.tracking.mlflow import Tracker

SWEPT = {"mode": ["chunked", "combined"], "runtime": ["oss", "anyscale"]}
"""In a block: 0 and 1 are chunked, 2 and 3 combined; the even ones are OSS."""

OSS, ANYSCALE = "OSS (2 connections)", "Anyscale setting (15 connections)"


def latency(settings: Mapping[str, str], block: int) -> float:
    """Anyscale's setting takes 20% less than OSS."""
    faster = settings["runtime"] == "anyscale"
    return (64.0 if faster else 80.0) * math.exp((0.01, -0.01, 0.0)[block] * (1 if faster else -1))


def blocks(found: Comparison | None) -> dict[str, int]:
    """Scenario -> blocks that count."""
    assert found is not None
    (table,) = found.tables
    assert (table.baseline, table.candidate) == (OSS, ANYSCALE)
    return {row.scenario: row.improvement.blocks if row.improvement else 0 for row in table.rows}


def test_a_scenario_without_a_valid_trial_is_a_row_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeps.write_sweep(tmp_path, SWEPT, 2, latency, valid=lambda s, _: s["mode"] == "chunked")
    found = compare_sweep(tmp_path)
    assert blocks(found) == {"chunked inference": 2, "combined inference": 0}
    assert found is not None
    assert found.tables[0].rows[1].uncounted == ("blocks 1, 2: no valid trial of either arm",)
    assert [scenario.name for scenario in found.scenarios] == ["chunked inference"]
    assert main([str(tmp_path), "--fail-on-regression", "5"]) == 2
    assert "'combined inference' has 0 with valid trials of both" in capsys.readouterr().err
    assert "| combined inference |  |  | no block with both | 0 |  |  |  |" in (tmp_path / PAGE).read_text()


def test_a_scenario_that_never_ran_is_a_row_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeps.write_sweep(tmp_path, SWEPT, 2, latency)
    for name in ("2", "3", "6", "7"):
        (tmp_path / name / TRIAL).unlink()
    found = compare_sweep(tmp_path)
    assert blocks(found) == {"chunked inference": 2, "combined inference": 0}
    assert main([str(tmp_path), "--fail-on-regression", "5"]) == 2
    assert "'combined inference' has 0" in capsys.readouterr().err


def test_an_arm_that_never_ran_is_a_column_without_a_value(tmp_path: Path) -> None:
    """Of an option that no trial has chosen only the name is known."""
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 2, latency)
    for name in ("1", "3"):
        (tmp_path / name / TRIAL).unlink()
    found = compare_sweep(tmp_path)
    assert found is not None
    (table,) = found.tables
    assert (table.baseline, table.candidate) == (OSS, "Anyscale setting")
    (row,) = table.rows
    assert row.improvement is None
    assert row.uncounted == ("blocks 1, 2: no valid trial of Anyscale setting",)


def test_where_nothing_is_valid_a_page_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.write_sweep(
        tmp_path, SWEPT, 1, latency, valid=lambda *_: False, rules=lambda *_: sweeps.broken_rule()
    )
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / PAGE).read_text()
    assert page.count("nothing was spilled to disk: 12 MB spilled") == 4
    assert "No trial of these arms is valid" in page
    assert not list(tmp_path.glob("*.png"))
    assert "excluded: mode=chunked runtime=oss block 1" in capsys.readouterr().out
    assert main([str(tmp_path), "--fail-on-regression", "5"]) == 2


def test_records_of_another_version_are_left_out_by_name(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, SWEPT, 2, latency)
    _of_another_version(tmp_path / "6")
    found = compare_sweep(tmp_path)
    assert blocks(found) == {"chunked inference": 2, "combined inference": 1}
    assert found is not None
    (out,) = found.excluded
    assert (out.folder, out.arm, out.block) == ("6", "mode=combined runtime=oss", "2")
    assert out.reason.startswith("trial.json has schema version 1; this vbench reads versions 2 and 3")


def test_a_folder_of_nothing_but_another_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 1, latency)
    for name in ("0", "1"):
        _of_another_version(tmp_path / name)
    with pytest.raises(RecordError, match=r"no readable trial; the first: trial\.json has"):
        compare_sweep(tmp_path)


def test_runs_of_another_version_are_left_out_of_an_experiment_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = sweeps.write_sweep(tmp_path / "sweep", {"runtime": ["oss", "anyscale"]}, 2, latency)
    tracker = Tracker(mlflow_runs.with_database(tmp_path), "study")
    for name in ("0", "1", "2", "3"):
        tracker.log(sweep / name)
    old = next(
        path.parent
        for path in (tmp_path / ARTIFACTS).rglob(TRIAL)
        if json.loads(path.read_text())["trial_id"].endswith("-3")
    )
    _of_another_version(old)
    assert main(["--experiment", "study", "--outputs", str(tmp_path)]) == 0
    run = old.relative_to(tmp_path / ARTIFACTS).parts[0]
    page = (tmp_path / "comparisons" / "study" / PAGE).read_text()
    assert f"| run {run} | runtime=anyscale |  | trial.json has schema version 1" in page
    assert "excluded: run " in capsys.readouterr().out


def _of_another_version(folder: Path) -> None:
    trial = json.loads((folder / TRIAL).read_text())
    (folder / TRIAL).write_text(json.dumps({**trial, "schema_version": 1}))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("{}", "is not the plan of a sweep"),
        ("[]", "is not the plan of a sweep"),
        ('{"trials": []}', "is not the plan of a sweep"),
        ('{"swept": ["runtime"], "trials": [{}]}', "is not the plan of a sweep"),
        ('{"swept": ["runtime"], "trials": []}', "holds no trial yet"),
        ("{", "is damaged"),
    ],
)
def test_a_plan_that_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: str, said: str
) -> None:
    (tmp_path / SWEEP).write_text(plan)
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_a_file_is_no_sweeps_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 2
    assert "it is not the folder of a sweep" in capsys.readouterr().err
