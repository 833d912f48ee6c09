"""MLflow is told all of a record, once; what it cannot be told is not lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mlflow_runs, records
from vbench.cli.log import main
from vbench.record.files import DATABASE, REQUESTS, SWEEP, TRIAL, trial_folders, write_json, write_lines
from vbench.tracking.mlflow import Tracker


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


def write_trial(folder: Path, trial_id: str, mode: str = "chunked") -> Path:
    folder.mkdir(parents=True)
    write_json(folder / TRIAL, records.trial(trial_id=trial_id, arm=f"mode={mode} runtime=oss"))
    write_lines(folder / REQUESTS, [records.request(i) for i in range(3)])
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("mode: chunked\n")
    return folder


def test_a_trial_is_logged_whole_and_once(outputs: Path, tmp_path: Path) -> None:
    folder = write_trial(tmp_path / "trial", "one")
    tracker = Tracker(outputs, "single")
    assert tracker.log(folder) is True
    assert tracker.log(folder) is False
    client = mlflow_runs.client(outputs)
    (run,) = mlflow_runs.runs(outputs, "single")
    assert run.info.run_name == "mode=chunked runtime=oss"
    assert run.data.params["mode"] == "chunked"
    assert run.data.params["runtime"] == "oss"
    assert run.data.params["load.requests"] == "48"
    assert run.data.metrics["latency_mean_s"] == 2.0
    assert len(client.get_metric_history(run.info.run_id, "request_latency_s")) == 3
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {TRIAL, REQUESTS, ".hydra"}


def test_a_quantile_that_too_few_requests_support_is_not_logged(outputs: Path, tmp_path: Path) -> None:
    """Older records have p99 of eight requests, which in MLflow would stand without its footnote."""
    folder = tmp_path / "trial"
    folder.mkdir()
    metrics = {"requests": 8.0, "latency_mean_s": 2.0, "latency_p50_s": 2.0}
    few = {**metrics, "latency_p90_s": 3.0, "latency_p99_s": 3.1}
    write_json(folder / TRIAL, records.trial(trial_id="few", metrics=few))
    tracker = Tracker(outputs, "quantiles")
    tracker.log(folder)
    (run,) = mlflow_runs.runs(outputs, "quantiles")
    assert {name: run.data.metrics[name] for name in metrics} == metrics
    assert not {"latency_p90_s", "latency_p99_s"} & set(run.data.metrics)


def test_trials_of_a_sweep_lie_under_one_parent(outputs: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    folders = [write_trial(sweep / str(i), f"s{i}", mode) for i, mode in enumerate(("chunked", "combined"))]
    write_json(
        sweep / SWEEP,
        {
            "sweep_id": "sw",
            "started": "2026-01-01T00:00:00+00:00",
            "swept": ["mode"],
            "arguments": ["--multirun"],
        },
    )
    tracker = Tracker(outputs, "sweeps")
    for folder in folders:
        tracker.log(folder)
    runs = mlflow_runs.runs(outputs, "sweeps")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.run_name for run in children} == {
        "mode=chunked runtime=oss",
        "mode=combined runtime=oss",
    }


def test_records_are_logged_later_from_the_command_line(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(tmp_path / "a" / "0", "later0")
    write_trial(tmp_path / "a" / "1", "later1")
    arguments = [str(tmp_path / "a"), "--outputs", str(outputs), "--experiment", "later"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("logged  ") == 2
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("logged before  ") == 2


def test_mlflows_own_copies_are_no_records(tmp_path: Path) -> None:
    folder = write_trial(tmp_path / "runs" / "a", "copied")
    Tracker(tmp_path, "copies").log(folder)
    assert len(list(tmp_path.rglob(TRIAL))) == 2
    assert trial_folders(tmp_path) == [folder]


def test_what_was_run_again_is_not_logged(tmp_path: Path) -> None:
    sweep = tmp_path / "sweeps" / "a"
    folder = write_trial(sweep / "1", "again")
    earlier = write_trial(sweep / "earlier" / "1-1", "at first")
    assert trial_folders(sweep) == [folder]
    assert trial_folders(tmp_path) == [folder]
    assert trial_folders(earlier) == [earlier]


def test_copies_of_baselines_are_not_logged(tmp_path: Path) -> None:
    folder = write_trial(tmp_path / "sweeps" / "a" / "1", "measured")
    copy = write_trial(tmp_path / "baselines" / "main" / "a" / "1", "measured")
    assert trial_folders(tmp_path) == [folder]
    assert trial_folders(copy) == [copy]


def test_a_record_of_another_version_is_named_and_the_others_are_logged(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = write_trial(tmp_path / "a" / "0", "older")
    data = json.loads((older / TRIAL).read_text())
    (older / TRIAL).write_text(json.dumps({**data, "schema_version": 1}))
    write_trial(tmp_path / "a" / "1", "newer")
    assert main([str(tmp_path / "a"), "--outputs", str(outputs), "--experiment", "versions"]) == 2
    said = capsys.readouterr()
    assert f"vbench: skipped: {older / TRIAL} has schema version 1" in said.err
    assert f"logged  {tmp_path / 'a' / '1'}" in said.out
    assert said.out.count("logged") == 1


def test_a_folder_without_records_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--outputs", str(tmp_path / "out")]) == 2
    assert "there is no trial.json in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_database_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_trial(tmp_path / "trial", "x")
    (tmp_path / DATABASE).write_bytes(b"this is not a database" * 99)
    assert main([str(folder), "--outputs", str(tmp_path)]) == 3
    error = capsys.readouterr().err
    assert str(tmp_path / DATABASE) in error
    assert len(error.strip().splitlines()) == 1
    assert json.loads((folder / TRIAL).read_text())["trial_id"] == "x"


LOG = """
import sys
from pathlib import Path
from vbench.tracking.mlflow import Tracker
sys.stdin.readline()
print(Tracker(Path(sys.argv[1]), "together").log(Path(sys.argv[2])))
"""


def test_processes_that_begin_on_a_new_database_together_all_log(tmp_path: Path) -> None:
    folders = [write_trial(tmp_path / f"trial{i}", f"t{i}") for i in range(2)]
    outputs = tmp_path / "outputs"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", LOG, str(outputs), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in (*folders, folders[0])
    ]
    said = []
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        out, err = run.communicate(timeout=240)
        assert run.returncode == 0, err
        said.append(out.strip())
    assert sorted(said) == ["False", "True", "True"], "the same trial is logged once"
    assert len(mlflow_runs.runs(outputs, "together")) == 2
    assert [path.name for path in outputs.glob(".making-*")] == []


@pytest.mark.parametrize("name", ["my%20runs", "50%", "a?b", "a#b"])
def test_a_folder_that_a_url_cannot_name_is_refused_wherever_it_stands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_trial(tmp_path / name / "rec", "one")
    monkeypatch.chdir(tmp_path / name)
    assert main(["--outputs", "outputs", str(folder)]) == 3
    said = capsys.readouterr().err
    assert f"{tmp_path}/{name}/outputs has" in said
    assert "give a folder without ? # % in its path, such as --outputs=" in said
    assert not list(tmp_path.rglob(DATABASE))
