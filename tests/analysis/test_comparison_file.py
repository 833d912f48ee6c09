"""A comparison's data are read back, in the current version and in the one before."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vbench.analysis import PAGE, comparison_file
from vbench.cli.compare import main
from vbench.record.files import DamagedError, RecordError

VERSION_3 = Path(__file__).with_name("comparison_version_3.json")
"""An arm against itself, as version 3 wrote it, shortened."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a comparison of version 3."""
    shutil.copy(VERSION_3, tmp_path / comparison_file.DATA)
    return tmp_path


def test_version_3_is_read_with_its_numbers(folder: Path) -> None:
    before = json.loads(VERSION_3.read_text())
    comparison = comparison_file.read(folder)
    (row,) = comparison.tables[0].rows
    assert row.improvement is not None
    assert row.improvement.percent == before["tables"][0]["rows"][0]["improvement"]["percent"]
    assert row.improvement.verdict == "inconclusive"
    assert row.improvement.blocks_for_precision == 8
    assert row.leave_one_out is not None
    assert len(row.secondary) == 4
    trial = comparison.scenarios[0].arms[0].trials[0]
    limits = before["scenarios"][0]["arms"][0]["points"][0]["limits"]
    assert trial.bottleneck is not None
    assert trial.bottleneck.measured_s == limits["measured_s"]
    assert [one.busy_s for one in trial.bottleneck.resources] == [one["needed_s"] for one in limits["limits"]]
    rule = comparison.provenance.sources[0].rules[0]
    assert rule["passed"] is True
    assert rule["observed"]


def test_a_page_is_rendered_from_the_data_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--render"]) == 0
    assert f"{folder / PAGE} and 2 plots" in capsys.readouterr().out.replace("\n", "")
    text = (folder / PAGE).read_text()
    assert (
        "| chunked inference | 8.57 ± 1.59 s | 8.28 ± 0.35 s | -3.3% [-28%, 17%] | 3 | inconclusive |" in text
    )
    assert "![Where the time of a request went](stages.png)" in text
    data = json.loads((folder / comparison_file.DATA).read_text())
    assert data["version"] == comparison_file.DATA_VERSION
    assert data == json.loads(json.dumps(comparison_file.plain(comparison_file.read(folder))))


def test_decisions_of_version_7_are_kept_and_intervals_were_of_95_percent(folder: Path) -> None:
    now = comparison_file.read(folder)
    plain = json.loads(json.dumps(comparison_file.plain(now)))
    row = plain["tables"][0]["rows"][0]
    row["log_ratios"] = [0.1, 0.2]
    then = json.loads(json.dumps({**plain, "version": 7}))
    del then["look"], then["is_paired"]
    for improvement in _improvements(then):
        del improvement["confidence_percent"]
    assert comparison_file.as_current(then) == plain


def _improvements(data: object) -> Iterator[dict[str, Any]]:
    if isinstance(data, list):
        for item in data:
            yield from _improvements(item)
    if isinstance(data, dict):
        if "slowdown_bound_percent" in data:
            yield data
        for value in data.values():
            yield from _improvements(value)


def test_what_is_no_comparison_is_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(VERSION_3.read_text())
    path = folder / comparison_file.DATA
    for text, said in (
        (
            json.dumps({**data, "version": 99}),
            "has version 99; this vbench reads versions 3, 4, 5, 6, 7 and 8",
        ),
        (json.dumps({**data, "tables": 7}), "is damaged: tables: 7 is not a list"),
        ('{"half', "is damaged"),
        ("[]", "has version None"),
    ):
        path.write_text(text)
        with pytest.raises(RecordError, match=said):
            comparison_file.read(folder)
    path.write_text('{"version": NaN}')
    with pytest.raises(DamagedError, match="NaN is not a number"):
        comparison_file.read(folder)
    assert main([str(folder / "none"), "--render"]) == 2
    assert main(["--render"]) == 2
    assert "--render needs the folder" in capsys.readouterr().err
