"""The command line: what it writes, its exit status, and one sentence for what is wrong."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import sweeps

from vbench.analysis import DATA, PAGE
from vbench.compare import main
from vbench.tracking import COMPARISON, SWEEP, Tracker

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


def test_page_data_and_plots_are_written(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sweep), "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        PAGE,
        DATA,
        "latency.png",
        "stages.png",
        "nics-0.png",
    }
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 10_000
    page = (tmp_path / PAGE).read_text()
    head = (
        "| Scenario | Average latency - Anyscale setting (15 connections)"
        " | Average latency - OSS (2 connections) | Improvement [95% interval] | n (blocks) | Verdict |"
    )
    assert head in page
    assert "| chunked inference | 64.0 ± 1.6 s | 80.0 ± 2.0 s | 20% [16%, 24%] | 3 | faster |" in page
    assert "| infer transfer | 40.00 | 32.00 |" in page
    for picture in tmp_path.glob("*.png"):
        assert f"]({picture.name})" in page
    assert str(tmp_path) not in page + (tmp_path / DATA).read_text()
    assert str(sweep.parent) not in page + (tmp_path / DATA).read_text()
    out = capsys.readouterr().out
    assert "20% [16%, 24%]" in out
    assert "faster" in out


def test_data_holds_what_the_page_says(sweep: Path, tmp_path: Path) -> None:
    assert main([str(sweep), "--out", str(tmp_path)]) == 0
    data = json.loads((tmp_path / DATA).read_text())
    (table,) = data["tables"]
    (row,) = table["rows"]
    assert row["improvement"]["blocks"] == 3
    assert row["improvement"]["low_percent"] == pytest.approx(16.3, abs=0.5)
    arms = data["scenarios"][0]["arms"]
    assert [arm["settings"] for arm in arms] == [{"runtime": "oss"}, {"runtime": "anyscale"}]
    point = arms[0]["points"][0]
    assert len(point["latencies_s"]) == 8
    assert sum(point["parts_s"].values()) == pytest.approx(point["latency_mean_s"])
    assert point["limits"]["limits"][0]["resource"] == "cores"


@pytest.mark.parametrize(
    ("baseline", "percent", "status"),
    [("oss", "0", 0), ("anyscale", "10", 4), ("anyscale", "24", 0), ("anyscale", "40", 0)],
)
def test_a_regression_beyond_the_bound_sets_the_exit_status(
    sweep: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    baseline: str,
    percent: str,
    status: int,
) -> None:
    """OSS after Anyscale's setting takes 25% more, at least 19%: 24% lies within the interval."""
    arguments = [str(sweep), "--baseline", f"runtime={baseline}", "--fail-on-regression", percent]
    assert main([*arguments, "--out", str(tmp_path)]) == status
    assert ("is slower than" in capsys.readouterr().err) == (status == 4)


def test_one_block_cannot_pass_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["oss", "anyscale"]}, 1, latency)
    assert main([str(tmp_path)]) == 0
    assert "One block has no interval" in capsys.readouterr().out
    assert main([str(tmp_path), "--fail-on-regression", "5"]) == 2
    assert "needs two blocks or more" in capsys.readouterr().err


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


def test_an_mlflow_experiment_is_compared_like_its_sweep(sweep: Path, tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, "study")
    plan = json.loads((sweep / SWEEP).read_text())
    for planned in plan["trials"]:
        tracker.log(sweep / planned["folder"])
    assert main(["--experiment", "study", "--outputs", str(tmp_path)]) == 0
    from_mlflow = json.loads((tmp_path / "comparisons" / "study" / DATA).read_text())
    assert main([str(sweep), "--out", str(tmp_path / "direct")]) == 0
    direct = json.loads((tmp_path / "direct" / DATA).read_text())
    assert from_mlflow["tables"] == direct["tables"]
    assert (tmp_path / "comparisons" / "study" / "nics-0.png").exists()


def test_an_experiment_misspelt_gets_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Tracker(tmp_path, "study")
    assert main(["--experiment", "studdy", "--outputs", str(tmp_path)]) == 2
    assert "did you mean 'study'" in capsys.readouterr().err


def test_a_comparison_is_logged_to_the_sweeps_run(sweep: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    tracker = Tracker(outputs, "vbench")
    tracker.log(sweep / "0")
    for _ in range(2):  # again in place of the first
        arguments = [str(sweep), "--out", str(tmp_path / "out"), "--log", "--outputs", str(outputs)]
        assert main(arguments) == 0
    (parent,) = tracker._client.search_runs([tracker._experiment], "tags.`vbench.sweep_id` != ''")
    logged = {item.path for item in tracker._client.list_artifacts(parent.info.run_id, COMPARISON)}
    assert f"{COMPARISON}/{PAGE}" in logged
    assert f"{COMPARISON}/latency.png" in logged
    name = "chunked inference/Anyscale setting 15 connections against OSS 2 connections"
    assert parent.data.metrics[f"improvement_percent/{name}"] == pytest.approx(20, abs=0.5)
    assert parent.data.metrics[f"improvement_low_percent/{name}"] < 20


def test_what_connections_give_is_drawn_against_the_caps(tmp_path: Path) -> None:
    def metrics(settings: Mapping[str, str], block: int) -> dict[str, float]:
        count = float(settings["runtime.connections"])
        rate = min(count * 100, 250) * 0.93 - block
        return {"latency_mean_s": 10.0, "makespan_s": 90.0, "requests": 8.0, "transfer_mbps": rate}

    sweep = sweeps.write_sweep(
        tmp_path / "sweep", {"runtime.connections": ["1", "2", "15"]}, 2, lambda *_: 10.0, metrics=metrics
    )
    assert main([str(sweep)]) == 0
    assert (sweep / "rate.png").read_bytes().startswith(PNG)
    page = (sweep / PAGE).read_text()
    assert "](rate.png)" in page
    assert "| object transfer | 92.5 Mbit/s | 186 Mbit/s | 232 Mbit/s |" in page
