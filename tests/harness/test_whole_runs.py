"""The real thing: real Ray, real FFmpeg, real MLflow, from the command line to the record."""

import json
import subprocess
from pathlib import Path

import pytest
from http_files import Behaviour, serving
from runs import SCENE, SMALL, Workplace

from vbench.record import Trial
from vbench.trial_folder import read_requests, read_samples, read_spans, read_trial
from vbench.video.ffmpeg import ffmpeg_path
from vbench.video.scene import SceneSettings, ensure_clip

pytestmark = pytest.mark.slow


def trials_of(workplace: Workplace) -> list[Trial]:
    return [read_trial(folder) for folder in workplace.trials()]


def test_a_sweep_over_mode_and_runtime_gives_four_valid_trials(workplace: Workplace) -> None:
    status, output = workplace.run(
        "--multirun", "mode=chunked,combined", "runtime=oss,anyscale", *SCENE, *SMALL
    )
    assert status == 0, output
    assert output.count("Limit: ") == 4
    assert output.count("measured: efficiency ") == 4
    trials = trials_of(workplace)
    assert len(trials) == 4
    expected = {
        f"mode={mode} runtime={runtime}"
        for mode in ("chunked", "combined")
        for runtime in ("oss", "anyscale")
    }
    assert {trial.arm for trial in trials} == expected
    for trial in trials:
        assert trial.valid
        assert all(rule.holds for rule in trial.rules)
        assert trial.metrics["requests"] == 3
        assert trial.observed is not None
        assert set(trial.observed.placement) == {
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
    digests = {tuple(request.digest for request in read_requests(Path(trial.folder))) for trial in trials}
    assert len(digests) == 1, "every mode and runtime must see the same bytes"
    assert len(set(digests.pop())) == 2, "requests in turn ask for the clip and for its variant"
    asked = {trial.swept["runtime"]: dict(trial.observed.runtime_asked) for trial in trials if trial.observed}
    assert asked["oss"] == {}
    assert asked["anyscale"]["RAY_object_manager_client_connection_num"] == "15"
    _four_children_of_one_parent(workplace.folder)


def _four_children_of_one_parent(folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("vbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run not in parents]
    assert (len(parents), len(children)) == (1, 4)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert {run.data.params["mode"] for run in children} == {"chunked", "combined"}
    assert all(run.data.metrics["latency_mean_s"] > 0 for run in children)
    artifacts = {item.path for item in client.list_artifacts(children[0].info.run_id)}
    assert {"trial.json", "requests.jsonl", "spans.jsonl", "nodes.jsonl", ".hydra"} <= artifacts


def test_a_users_own_file_in_the_published_way_behind_a_proxy_with_mlflow_broken(
    workplace: Workplace,
) -> None:
    clip = workplace.folder / "my clip.mp4"
    source = "testsrc2=size=322x182:rate=30000/1001:duration=5"
    command = [ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv444p", str(clip)]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    in_the_way = workplace.folder / "outputs" / "mlartifacts"
    in_the_way.parent.mkdir()
    in_the_way.write_text("MLflow makes a folder of this name")
    published = ["pipeline=published", "pipeline.fps=2", "pipeline.chunk_s=2", "mode=combined"]
    nobody = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"), nobody)

    status, output = workplace.run("video=file", f"video.path='{clip.name}'", *published, *SMALL, **proxies)

    assert status == 3, output
    (trial,) = trials_of(workplace)
    assert trial.valid
    assert trial.metrics["frames_handed_over_times"] == pytest.approx(2.0, rel=0.03)
    assert trial.clip is not None
    assert (trial.clip.width, trial.clip.height) == (322, 182)
    in_the_way.unlink()
    later = ("outputs",)
    assert workplace.run(*later, module="vbench.tracking")[0] == 0
    status, output = workplace.run(*later, module="vbench.tracking")
    assert (status, "was logged before" in output) == (0, True)


def test_a_video_that_each_request_fetches_and_answers_that_are_wrong(workplace: Workplace) -> None:
    """At last the reference cache is falsified: every answer then disagrees, and the trial says so."""
    clip = ensure_clip(SceneSettings(width=320, height=180, length_s=4, unique_s=4), workplace.folder)
    behaviour = Behaviour(clip.read_bytes(), breaks_after=[1000, 1000])
    with serving(behaviour) as url:
        _wrong_answers(workplace, f"{url}/clip.mp4")
    whole = [asked for asked in behaviour.asked if asked is None]
    # One a trial to make ready, and one for each of its 1 + 3 and 3 requests; two broke off.
    assert (len(whole), len(behaviour.asked)) == (9, 11)


def _wrong_answers(workplace: Workplace, url: str) -> None:
    # One replica a stage: with more, the warm-up sends as many requests as it takes to reach each.
    one_each = [f"cluster.deployments.{stage}.replicas=1" for stage in ("service", "decoder", "inference")]
    video = ("video=file", f"video.path={url}", *one_each)
    status, output = workplace.run(*video, *SMALL, "tracking=off")
    assert status == 0, output
    (valid,) = trials_of(workplace)
    assert valid.valid
    assert valid.clip is not None
    assert valid.clip.address == url
    fetches = [s for s in read_spans(Path(valid.folder)) if (s.stage, s.kind) == ("chunk", "transfer")]
    assert [span.bytes for span in fetches] == [valid.clip.size_bytes] * 3
    assert valid.metrics["chunk_transfer_s"] > 0
    (cached,) = (workplace.folder / "outputs" / "cache" / "reference").glob("*.json")
    reference = json.loads(cached.read_text())
    reference["frames"][3]["digest"] = "0" * 32
    cached.write_text(json.dumps(reference))

    status, output = workplace.run(*video, *SMALL, "tracking=off", "load.warmup=0")

    assert status == 1, output
    assert "frame 3" in output
    invalid = [trial for trial in trials_of(workplace) if not trial.valid]
    assert len(invalid) == 1
    broken = [rule.name for rule in invalid[0].broken]
    assert broken == ["frames are identical to the reference pass"]
