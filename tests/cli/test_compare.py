"""The command line: what it writes, its exit status, and one sentence for what is wrong."""

import io
import json
import math
import re
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import mlflow_runs, records, sweeps
from vbench.analysis import PAGE
from vbench.analysis.comparison import compare
from vbench.analysis.comparison_file import DATA
from vbench.analysis.results import Comparison
from vbench.analysis.trials import read_sweep
from vbench.cli.compare import main
from vbench.cli.gates import CHANGED, status
from vbench.record.files import NODES, REQUESTS, SWEEP, TRIAL, write_lines
from vbench.record.metrics import latencies
from vbench.tracking.mlflow import COMPARISON, Tracker

PNG = b"\x89PNG\r\n\x1a\n"
NOISE = (0.01, -0.01, 0.0, 0.005, -0.005)


def latency(settings: Mapping[str, str], block: int) -> float:
    """Anyscale's setting takes 20% less than OSS."""
    faster = settings["runtime"] == "anyscale"
    return (64.0 if faster else 80.0) * math.exp(NOISE[block] * (1 if faster else -1))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    return sweeps.write_sweep(folder, {"runtime": ["oss", "anyscale"]}, 3, latency)


@dataclass(frozen=True)
class Written:
    """What the plain command left and said."""

    folder: Path
    printed: str

    @property
    def page(self) -> str:
        return (self.folder / PAGE).read_text()

    @property
    def data(self) -> Any:
        return json.loads((self.folder / DATA).read_text())


@pytest.fixture(scope="module")
def written(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder, out = tmp_path_factory.mktemp("written"), io.StringIO()
    with redirect_stdout(out):
        assert main([str(sweep), "--out", str(folder)]) == 0
    return Written(folder, out.getvalue())


@pytest.fixture(scope="module")
def slower(sweep: Path) -> Comparison:
    """OSS after Anyscale's setting: it takes 25% more, between 19% and 31%."""
    comparison = compare(read_sweep(sweep), {"runtime": "anyscale"}, None)
    assert comparison is not None
    return comparison


@pytest.fixture(scope="module")
def faster(sweep: Path) -> Comparison:
    comparison = compare(read_sweep(sweep), {"runtime": "oss"}, None)
    assert comparison is not None
    return comparison


def test_page_data_and_plots_are_written(sweep: Path, written: Written) -> None:
    assert {path.name for path in written.folder.iterdir()} == {
        PAGE,
        DATA,
        "latency.png",
        "stages.png",
        "nics-0.png",
    }
    for path in written.folder.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 10_000
    head = (
        "| Scenario | Average latency - Anyscale setting (15 connections)"
        " | Average latency - OSS (2 connections) | Improvement [95% interval] | n (blocks) | p ≠ | p ±5%"
        " | Verdict |"
    )
    assert head in written.page
    row = "| chunked inference | 64.0 ± 1.6 s | 80.0 ± 2.0 s | 20% [16%, 24%] | 3 | 0.0027 | 1 | faster |"
    assert row in written.page
    assert "| infer transfer | 40.00 | 32.00 |" in written.page
    for picture in written.folder.glob("*.png"):
        assert f"]({picture.name})" in written.page
    everything = written.page + (written.folder / DATA).read_text()
    assert str(written.folder) not in everything
    assert str(sweep.parent) not in everything
    assert "20% [16%, 24%]" in written.printed
    assert "faster" in written.printed


def test_data_holds_what_the_page_says(written: Written) -> None:
    (table,) = written.data["tables"]
    (row,) = table["rows"]
    assert row["improvement"]["blocks"] == 3
    assert row["improvement"]["low_percent"] == pytest.approx(16.3, abs=0.5)
    arms = written.data["scenarios"][0]["arms"]
    assert [arm["settings"] for arm in arms] == [{"runtime": "oss"}, {"runtime": "anyscale"}]
    point = arms[0]["trials"][0]
    assert len(point["latencies_s"]) == 8
    assert sum(point["parts_s"].values()) == pytest.approx(point["latency_mean_s"])
    assert point["bottleneck"]["resources"][0]["resource"] == "cores"


def test_a_regression_beyond_the_bound_sets_the_exit_status_of_the_command(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(sweep), "--baseline", "runtime=anyscale", "--out", str(tmp_path)]
    assert main([*arguments, "--fail-on-regression", "10", "--require-non-inferior", "25"]) == 4
    error = capsys.readouterr().err
    assert "is slower than" in error
    assert "inconclusive, so not shown to be non-inferior" in error


@pytest.mark.parametrize(
    ("baseline", "percent", "expected"),
    [("faster", 0, 0), ("slower", 10, 4), ("slower", 24, 0), ("slower", 40, 0)],
)
def test_a_regression_beyond_the_bound_sets_the_exit_status(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    baseline: str,
    percent: float,
    expected: int,
) -> None:
    """24% lies within the interval."""
    assert status(request.getfixturevalue(baseline), percent, None) == expected
    error = capsys.readouterr().err
    assert ("is slower than" in error) == (expected == 4)
    assert ("inconclusive. Run a new sweep with more blocks" in error) == (percent == 24)


def test_a_pass_says_how_large_a_regression_would_have_been_missed(
    slower: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(slower, 24, None) == 0
    error = capsys.readouterr().err
    value = slower.tables[0].rows[0].improvement
    assert value is not None
    assert value.low_percent is not None
    assert f"but it may be up to {-value.low_percent:.1f}% slower" in error
    assert "passes --fail-on-regression 24" in error


@pytest.mark.parametrize(
    ("baseline", "percent", "expected", "said"),
    [
        ("faster", 0, 0, ""),
        ("slower", 40, 0, ""),
        ("slower", 25, 5, "inconclusive, so not shown to be non-inferior"),
        ("slower", 10, 4, "inferior: its latency is higher by at least"),
    ],
)
def test_non_inferiority_has_to_be_shown(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    baseline: str,
    percent: float,
    expected: int,
    said: str,
) -> None:
    assert status(request.getfixturevalue(baseline), None, percent) == expected
    error = capsys.readouterr().err
    assert said in error
    assert bool(error) == bool(said)


def test_one_block_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 1, latency)
    assert main([str(tmp_path), "--require-non-inferior", "50"]) == 5
    assert "1 block gives no interval, at least two are needed" in capsys.readouterr().err


def test_a_changed_record_sets_the_exit_status(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    data = json.loads((folder / "1" / TRIAL).read_text())
    data["metrics"]["latency_mean_s"] *= 0.8
    (folder / "1" / TRIAL).write_text(json.dumps(data))
    assert main([str(folder)]) == 6
    error = capsys.readouterr().err
    assert "trial 1 (runtime=anyscale, block 1): it has latency_mean_s = " in error
    page = (folder / PAGE).read_text()
    assert "**Not what the trials wrote:**" in page


def test_halves_and_makespan_stand_beside_the_mean(sweep: Path, tmp_path: Path) -> None:
    assert main([str(sweep), "--out", str(tmp_path), "--half-width", "1"]) == 0
    page = (tmp_path / PAGE).read_text()
    for name in ("first half of the requests", "second half", "while all slots were busy", "makespan"):
        assert name in page
    assert "Leaving out any one block, the improvement is" in page
    assert "3 blocks are too few to show a drift" in page
    assert re.search(r"For ±1 points, run a new sweep with blocks=\d+", page)
    (row,) = json.loads((tmp_path / DATA).read_text())["tables"][0]["rows"]
    assert [each["metric"] for each in row["secondary"]] == [
        "latency_mean_first_half_s",
        "latency_mean_second_half_s",
        "steady_latency_mean_s",
        "steady_s_per_request",
        "makespan_s",
    ]
    steady, of_each = row["secondary"][2], row["secondary"][3]
    ratio = (1 - steady["improvement"]["percent"] / 100) / (1 - row["improvement"]["percent"] / 100)
    assert steady["beyond_mean"]["percent"] == pytest.approx(100 * (1 - ratio))
    assert of_each["baseline"]["value"] > 0
    assert "More than that of the mean" in page


def test_a_quantile_is_compared_or_says_how_many_requests_it_needs(tmp_path: Path) -> None:
    folder = sweeps.write_sweep(tmp_path / "s", {"runtime": ["oss", "anyscale"]}, 3, latency)
    requests = [
        records.request(index, scheduled_s=2.0 * index, done_s=2.0 * index + 1 + index / 40)
        for index in range(40)
    ]
    for lines in folder.glob(f"*/{REQUESTS}"):
        write_lines(lines, requests)
        record = json.loads(lines.with_name(TRIAL).read_text())
        record["metrics"] |= {"requests": 40, **latencies([one.latency_s for one in requests])}
        del record["metrics"]["makespan_s"], record["metrics"]["throughput_requests_per_s"]
        lines.with_name(TRIAL).write_text(json.dumps(record))
    main([str(folder), "--out", str(tmp_path)])
    (row,) = json.loads((tmp_path / DATA).read_text())["tables"][0]["rows"]
    p50, p90, p99 = row["quantiles"]
    assert p50["improvement"]["percent"] == 0
    assert p90["baseline"]["value"] == pytest.approx(1 + 0.9 * 39 / 40)
    assert p99["improvement"] is None
    assert (p99["requests"], p99["requests_needed"]) == (40, 368)
    page = (tmp_path / PAGE).read_text()
    assert "| p99 |  |  | needs 368 requests per trial; the fewest are 40 |  |" in page
    # The median's interval is from the 14th to the 27th of 40, as scipy.stats.quantile_test gives it.
    assert "| 40 | 1.49 s [1.32, 1.65] |" in page
    assert "needs n = 368 |" in page


def test_one_block_cannot_pass_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 1, latency)
    assert main([str(tmp_path)]) == 0
    assert "One block: no confidence interval" in capsys.readouterr().out
    assert main([str(tmp_path), "--fail-on-regression", "5"]) == 2
    assert "needs at least two blocks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name either a sweep's folder or --experiment"),
        (["nowhere"], "nowhere holds no sweep.json"),
        (["SWEEP", "--experiment", "x"], "name either a sweep's folder or --experiment"),
        (["--experiment", "x", "--outputs", "nowhere"], "does not exist"),
        (["SWEEP", "--baseline", "runtime"], "is not KEY=VALUE"),
        (["SWEEP", "--baseline", "runtime=ossy"], "did you mean 'oss'"),
        (["SWEEP", "--across", "codes"], "did you mean 'code'"),
        (["SWEEP", "--fail-on-regression", "-1"], "must be a percentage"),
        (["SWEEP", "--fail-on-regression", "nan"], "must be a percentage"),
        (["SWEEP", "--fail-on-regression", "much"], "invalid float value: 'much'"),
        (["SWEEP", "--bound", "3"], "unrecognized arguments: --bound"),
        (["SWEEP", "--out", "/proc/none"], "cannot be written to"),
    ],
)
def test_bad_input_is_one_sentence(
    sweep: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main([str(sweep) if each == "SWEEP" else each for each in arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_an_mlflow_experiment_is_compared_like_its_sweep(
    sweep: Path, written: Written, tmp_path: Path
) -> None:
    tracker = Tracker(mlflow_runs.with_database(tmp_path), "study")
    plan = json.loads((sweep / SWEEP).read_text())
    for planned in plan["trials"]:
        tracker.log(sweep / planned["folder"])
    assert main(["--experiment", "study", "--outputs", str(tmp_path)]) == 0
    from_mlflow = json.loads((tmp_path / "comparisons" / "study" / DATA).read_text())
    assert from_mlflow["tables"] == written.data["tables"]
    assert (tmp_path / "comparisons" / "study" / "nics-0.png").exists()


def test_an_experiment_misspelt_gets_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Tracker(mlflow_runs.with_database(tmp_path), "study")
    assert main(["--experiment", "studdy", "--outputs", str(tmp_path)]) == 2
    assert "did you mean 'study'" in capsys.readouterr().err


def test_a_comparison_is_logged_to_the_sweeps_run(sweep: Path, tmp_path: Path) -> None:
    outputs = mlflow_runs.with_database(tmp_path / "outputs")
    tracker = Tracker(outputs, "vbench")
    tracker.log(sweep / "0")
    for _ in range(2):  # again in place of the first
        arguments = [str(sweep), "--out", str(tmp_path / "out"), "--log", "--outputs", str(outputs)]
        assert main(arguments) == 0
    (parent,) = mlflow_runs.runs(outputs, "vbench", "tags.`vbench.sweep_id` != ''")
    logged = {
        item.path for item in mlflow_runs.client(outputs).list_artifacts(parent.info.run_id, COMPARISON)
    }
    assert f"{COMPARISON}/{PAGE}" in logged
    assert f"{COMPARISON}/latency.png" in logged
    name = "chunked inference/Anyscale setting 15 connections against OSS 2 connections"
    assert parent.data.metrics[f"improvement_percent/{name}"] == pytest.approx(20, abs=0.5)
    assert parent.data.metrics[f"improvement_low_percent/{name}"] < 20


def test_a_pipelines_links_are_not_held_against_the_cap_of_one_pair(written: Written) -> None:
    assert not (written.folder / "rate.png").exists()
    assert "Transfer rate by connections" not in written.page


def test_named_arms_get_a_folder_of_their_own(sweep: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    assert main([str(folder), "--baseline", "runtime=anyscale", "--candidate", "runtime=oss"]) == 0
    assert not (folder / PAGE).exists()
    page = (folder / "compare-runtime=anyscale-vs-runtime=oss" / PAGE).read_text()
    assert page.startswith("# OSS (2 connections) against Anyscale setting (15 connections)")
    assert main([str(folder), "--candidate", "runtime=oss"]) == 0
    assert (folder / "compare-others-vs-runtime=oss" / PAGE).exists()


def test_plots_of_an_earlier_comparison_are_gone(sweep: Path, tmp_path: Path) -> None:
    for name in ("nics-7.png", "rate.png", "mine.png"):
        (tmp_path / name).write_bytes(PNG)
    assert main([str(sweep), "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "latency.png",
        "stages.png",
        "nics-0.png",
        "mine.png",
    }


def test_a_damaged_record_is_left_out_and_the_rest_is_compared(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    (folder / "0" / NODES).write_text("{\n")
    assert main([str(folder)]) == CHANGED
    assert "nodes.jsonl is damaged" in capsys.readouterr().err
    assert "](latency.png)" in (folder / PAGE).read_text()
    assert (folder / DATA).exists()


def test_a_record_that_cannot_be_opened_is_not_blamed_on_the_folder_written_to(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    (folder / "0" / NODES).unlink()
    (folder / "0" / NODES).mkdir()
    assert main([str(folder)]) == CHANGED
    error = capsys.readouterr().err
    assert "trial 0 (runtime=oss, block 1): nodes.jsonl cannot be read: Is a directory" in error
    assert "--out" not in error


def test_what_the_harness_takes_is_a_table(tmp_path: Path) -> None:
    phases = {"cluster": 7.5, "link_check": 4.0, "deploy": 12.0, "warm_up": 80.0, "stop": 0.5}
    sweeps.write_sweep(
        tmp_path,
        {"runtime": ["oss", "anyscale"]},
        2,
        latency,
        phases_s=lambda _, block: {name: seconds + block for name, seconds in phases.items()},
    )
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / PAGE).read_text()
    assert "| chunked inference | OSS (2 connections) | 2 | 8.0 | 4.5 | 12.5 | 80.5 | 1.0 |" in page
    point = json.loads((tmp_path / DATA).read_text())["scenarios"][0]["arms"][0]["trials"][0]
    assert point["phases_s"] == phases


def test_a_wide_interval_says_how_many_blocks_a_sharp_one_takes(tmp_path: Path) -> None:
    def noisy(settings: Mapping[str, str], block: int) -> float:
        return latency(settings, block) * math.exp(20 * NOISE[block])

    sweeps.write_sweep(
        tmp_path, {"runtime": ["oss", "anyscale"]}, 3, lambda s, b: noisy(s, b) if "oss" in str(s) else 64.0
    )
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / PAGE).read_text()
    assert re.search(r"The interval is ±\d+ points\. For ±8 points, run a new sweep with blocks=\d+", page)
