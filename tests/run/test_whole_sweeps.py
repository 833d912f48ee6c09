"""Sweeps from the command line: what fails does not stop them, what stops them loses nothing."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.runs import SCENE, SMALL, Wait, Workplace
from vbench.record.files import read_requests, read_samples, read_spans, read_trial
from vbench.record.trial import Trial
from vbench.run.sweep import Sweep, read


def records(folder: Path, sweep: Sweep) -> list[Trial]:
    """Of all planned trials, in running order."""
    return [read_trial(folder / planned.folder) for planned in sweep.trials]


def test_trials_that_fail_are_recorded_and_run_again(workplace: Workplace) -> None:
    clips = ["video=file", "video.path=nowhere.mp4,nothing.mp4"]
    place = "hydra.sweep.dir='it\\'s swept'"
    folder = workplace.folder / "it's swept"

    status, output = workplace.run("--multirun", *clips, *SMALL, "tracking=off", place)

    assert status == 2, output
    assert "Traceback" not in output
    assert "trial 2 of 2 (block 1 of 1): video.path=" in output
    sweep = read(folder)
    first = records(folder, sweep)
    assert [trial.status for trial in first] == ["failed", "failed"]
    assert {trial.swept["video.path"] for trial in first} == {"nowhere.mp4", "nothing.mp4"}
    assert all(trial.error and trial.swept["video.path"] in trial.error for trial in first)
    assert all((folder / planned.folder / ".hydra" / "config.yaml").exists() for planned in sweep.trials)

    # From another folder: relative paths mean what they meant when the sweep was started.
    elsewhere = workplace.folder / "elsewhere"
    elsewhere.mkdir()
    status, output = replace(workplace, folder=elsewhere).run(f"resume={folder}")

    assert status == 2, output
    second = records(folder, sweep)
    assert {trial.trial_id for trial in first}.isdisjoint(trial.trial_id for trial in second)
    kept = [read_trial(folder / "earlier" / f"{planned.folder}-1") for planned in sweep.trials]
    assert [trial.trial_id for trial in kept] == [trial.trial_id for trial in first]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resume=here", "load.requests=2"], "and nothing else"),
        (["resume=here"], "it is not the folder of a sweep"),
        (["resume="], "it is not the folder of a sweep"),
        (["--multirun", "mode=chunked,chunked"], "two arms of the sweep are 'mode=chunked'"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused(workplace: Workplace, arguments: list[str], says: str) -> None:
    status, output = workplace.run(*arguments)
    assert status == 2
    (line,) = output.splitlines()
    assert says in line


def test_a_sweep_whose_cluster_cannot_run_here_leaves_nothing(workplace: Workplace) -> None:
    arms = ["cluster=emulated", "runtime=oss,anyscale", "cluster.nodes.gpu.object_store_mb=900000"]
    status, output = workplace.run("--multirun", *arms)
    assert status == 2
    (line,) = output.splitlines()
    assert line.startswith("vbench: cluster=emulated cannot run here: free memory: 5 nodes need up to 9")
    assert list(workplace.folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_that_is_stopped_goes_on_to_valid_trials_that_mlflow_has(
    workplace: Workplace, wait_for: Wait
) -> None:
    folder = workplace.folder / "swept"
    arms = ["runtime=oss,anyscale", "design=oneway", "blocks=1", *SCENE, *SMALL, "hydra.sweep.dir=swept"]
    run = workplace.start("--multirun", *arms)
    wait_for(run, "trial 2 of 2")
    wait_for(run, "starting Ray")
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert f"vbench resume={folder}" in output
    assert "Traceback" not in output
    plan = (folder / "sweep.json").read_text()
    before = read_trial(folder / "0")

    status, output = workplace.run("resume=swept")

    assert status == 0, output
    assert "of which 1 ran before" in output
    assert output.count("Bottleneck: ") == output.count(", busy ") == 1
    assert (folder / "sweep.json").read_text() == plan
    sweep = read(folder)
    trials = records(folder, sweep)
    assert [(trial.arm, trial.block) for trial in trials] == [(p.arm, p.block) for p in sweep.trials]
    assert [trial.block for trial in trials] == [0, 0]
    assert all(trial.valid for trial in trials)
    assert trials[0] == before
    assert sorted(trials, key=lambda trial: trial.started) == trials
    assert read_trial(folder / "earlier" / "1-1").status == "interrupted"
    screening = json.loads((folder / "comparison.json").read_text())["screening"]
    (setting,) = screening["metrics"][0]["settings"]
    assert (setting["key"], setting["baseline"], setting["value"]) == ("runtime", "oss", "anyscale")
    assert setting["effect"]["direction"] == "one block: no interval"
    assert (folder / "effects.png").exists()
    assert "The change is not shown to matter." in output
    for trial in trials:
        _is_whole(trial)
    asked = {
        trial.swept["runtime"]: dict(trial.load_report.flags_requested)
        for trial in trials
        if trial.load_report
    }
    assert asked["oss"] == {}
    assert asked["anyscale"]["RAY_object_manager_client_connection_num"] == "15"
    digests = {tuple(request.digest for request in read_requests(Path(trial.folder))) for trial in trials}
    assert len(digests) == 1, "every runtime must see the same bytes"
    assert len(set(digests.pop())) == 2, "requests in turn ask for the clip and for its variant"
    _are_children_of_one_parent(workplace.folder / "outputs")

    status, output = workplace.run("resume=swept")

    assert status == 0, output
    assert "of which 2 ran before" in output
    assert records(folder, sweep) == trials


def _is_whole(trial: Trial) -> None:
    assert all(rule.passed for rule in trial.rules)
    assert trial.metrics["requests"] == 3
    assert trial.load_report is not None
    assert set(trial.load_report.placement) == {
        "VideoProcessingAPI",
        "VideoProcessingService",
        "VideoDecoder",
        "ModelInference",
    }
    folder = Path(trial.folder)
    assert (folder / ".hydra" / "config.yaml").exists()
    requests = read_requests(folder)
    assert [request.frames_got for request in requests] == [8, 8, 8]
    assert all(request.detections > 0 for request in requests)
    stages = {(span.stage, span.kind) for span in read_spans(folder)}
    assert {("chunk", "compute"), ("decode", "compute"), ("infer", "transfer")} <= stages
    assert read_samples(folder)


def _are_children_of_one_parent(outputs: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("vbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run not in parents]
    assert (len(parents), len(children)) == (1, 2)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert {run.data.params["runtime"] for run in children} == {"oss", "anyscale"}
    assert all(run.data.metrics["latency_mean_s"] > 0 for run in children)
    artifacts = {item.path for item in client.list_artifacts(children[0].info.run_id)}
    assert {"trial.json", "requests.jsonl", "spans.jsonl", "nodes.jsonl", ".hydra"} <= artifacts
