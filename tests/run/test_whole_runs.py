"""The real thing: real Ray, real FFmpeg, real MLflow, from the command line to the record."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.http_files import Behaviour, serving
from tests.support.runs import SMALL, Workplace
from vbench.load.spec import LoadSpec, write_spec
from vbench.ray_internals.setting_readers import Role
from vbench.record.files import read_spans, read_trial
from vbench.record.trial import Trial
from vbench.run.compose import compose_configs
from vbench.video.cache import digest_path
from vbench.video.digest import file_digest
from vbench.video.ffmpeg.executable import ffmpeg_path
from vbench.video.scene import SceneSettings, ensure_clip

pytestmark = pytest.mark.slow


def trials_of(workplace: Workplace) -> list[Trial]:
    return [read_trial(folder) for folder in workplace.trials()]


@pytest.mark.long
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
    env = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"), nobody)
    env["RAY_event_stats"] = "0"
    arguments = ["video=file", f"video.path='{clip.name}'", "runtime=throughput_optimized", *published]

    status, output = workplace.run(*arguments, *SMALL, **env)

    assert status == 3, output
    assert "RAY_event_stats in your environment does not reach the trial" in output
    (trial,) = trials_of(workplace)
    assert trial.valid
    assert trial.load_report is not None
    assert {one.role for one in trial.load_report.settings_found} == set(Role) - {Role.WORKER}
    assert trial.metrics["frames_handed_over_times"] == pytest.approx(2.0, rel=0.03)
    assert trial.clip is not None
    assert (trial.clip.width, trial.clip.height) == (322, 182)
    in_the_way.unlink()
    later = ("outputs",)
    assert workplace.run("log", *later)[0] == 0
    status, output = workplace.run("log", *later)
    assert (status, "logged before" in output) == (0, True)


@pytest.mark.long
def test_a_video_that_each_request_fetches_and_answers_that_are_wrong(workplace: Workplace) -> None:
    """The cached reference is falsified: every answer then disagrees, and the trial says so."""
    clip = ensure_clip(SceneSettings(width=320, height=180, length_s=4, unique_s=4), workplace.folder)
    behaviour = Behaviour(clip.read_bytes(), breaks_after=[1000, 1000])
    with serving(behaviour) as url:
        _wrong_answers(workplace, f"{url}/clip.mp4", clip.stat().st_size)
    whole = [asked for asked in behaviour.asked if asked is None]
    # One to make the reference, one to make the trial ready, one for each of its 3 requests; two broke off.
    assert (len(whole), len(behaviour.asked)) == (5, 7)


def _wrong_answers(workplace: Workplace, url: str, size_bytes: int) -> None:
    arguments = ("video=file", f"video.path={url}", *SMALL, "load.warmup=0", "tracking=off")
    _falsify(_reference(workplace, arguments))

    status, output = workplace.run(*arguments)

    assert status == 1, output
    assert "frame 3" in output
    (trial,) = trials_of(workplace)
    assert [rule.name for rule in trial.broken] == ["frames are identical to the reference pass"]
    assert trial.clip is not None
    assert trial.clip.address == url
    fetches = [s for s in read_spans(Path(trial.folder)) if (s.stage, s.kind) == ("chunk", "transfer")]
    assert [span.bytes for span in fetches] == [size_bytes] * 3
    assert trial.metrics["chunk_transfer_s"] > 0


def _reference(workplace: Workplace, arguments: Sequence[str]) -> Path:
    """The cached reference pass, made as a trial makes it."""
    (config,) = compose_configs([*arguments, f"outputs={workplace.folder / 'outputs'}"], multirun=False)
    folder = workplace.folder / "earlier"
    folder.mkdir()
    job = write_spec(LoadSpec(config=config, folder=folder, endpoint=None))
    status, output = workplace.run("prepare", str(job), module="vbench.load")
    assert status == 0, output
    (cached,) = (workplace.folder / "outputs" / "cache" / "reference").glob("*.json")
    return cached


def _falsify(cached: Path) -> None:
    reference = json.loads(cached.read_text())
    reference["frames"][3]["digest"] = "0" * 32
    cached.write_text(json.dumps(reference))
    # With its digest, or it would be made again.
    facts = json.loads(digest_path(cached).read_text())
    digest_path(cached).write_text(json.dumps({**facts, "xxh3_128": file_digest(cached)}))
