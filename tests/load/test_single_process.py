"""The plain process works on the very frames that the service works on, and counts them all."""

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from vbench.analysis.bottleneck import find_bottleneck
from vbench.cli import efficiency
from vbench.load.single_process import SingleProcess
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.frame_size import frame_geometry
from vbench.record import files
from vbench.record.measurements import Measurements
from vbench.record.trial import Trial
from vbench.telemetry import environment
from vbench.video.digest import file_digest, frame_digests
from vbench.video.errors import VideoError
from vbench.video.frames import decode_video
from vbench.video.scene import SceneSettings, ensure_clip

ARGS = PipelineArgs.model_validate({"chunk_s": 1, "fps": 2})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of 320 x 180 at 10 frames/s."""
    settings = SceneSettings(width=320, height=180, fps="10", length_s=4, unique_s=4, gop_s=2, objects=5)
    return ensure_clip(settings, tmp_path_factory.mktemp("scene"))


def reference(clip: Path) -> list[str]:
    passes = decode_video(
        clip, fps=Fraction(2), geometry=lambda info: frame_geometry(ARGS, info), threads=1, timeout_s=60
    )
    return [digest for frames in passes for digest in frame_digests(frames)]


def test_all_workers_together_see_the_frames_of_one_pass(clip: Path) -> None:
    assert SingleProcess(clip, ARGS, workers=3).digests() == reference(clip)


def test_every_frame_of_every_video_is_counted(clip: Path) -> None:
    told: list[int] = []

    found = SingleProcess(clip, ARGS, workers=2).measure(3, told.append)

    assert (found.videos, found.frames, found.workers, found.video_s) == (3, 24, 2, 12.0)
    assert told[-1] == 24
    assert told == sorted(told)
    assert found.frames_per_s == pytest.approx(24 / found.wall_s)
    assert found.cpu_s > 0


def test_an_error_of_one_worker_ends_all_and_is_raised(clip: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    data = bytearray(clip.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    damaged.write_bytes(data)
    plain = SingleProcess(damaged, ARGS, workers=2)

    with pytest.raises(VideoError, match="damaged"):
        plain.measure(2, lambda done: None)


def of_clip(clip: Path, folder: Path) -> Trial:
    """The record of a trial with this clip, on this machine."""
    cached = folder / "reference.json"
    nothing = {"pts": 0, "names": [], "scores": [], "boxes": []}
    frames = [{**nothing, "digest": digest} for digest in reference(clip)]
    files.write_json(cached, {"frames": frames, "map50": None})
    return records.trial(
        config=asdict(records.config("pipeline.fps=2", "pipeline.chunk_s=1")),
        environment=environment.describe(),
        clip=replace(
            records.clip(),
            path=str(clip),
            fingerprint=file_digest(clip),
            frames_expected=len(frames),
            reference=str(cached),
        ),
        metrics={
            "requests": 2.0,
            "makespan_s": 3.2,
            "throughput_frames_per_s": 5.0,
            "throughput_video_s_per_s": 2.5,
        },
    )


def run(folder: Path, trial: Trial, *arguments: str) -> int:
    spans = [records.span("decode", "compute", 1.6)]
    bottleneck = find_bottleneck(trial, Measurements(spans=spans))
    files.write_json(folder / files.TRIAL, replace(trial, bottleneck=bottleneck))
    files.write_lines(folder / files.SPANS, spans)
    return efficiency.main([str(folder), *arguments])


def test_the_service_stands_beside_the_ceiling(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "numbers.json"

    assert run(tmp_path, of_clip(clip, tmp_path), "--out", str(out)) == 0

    shown = capsys.readouterr().out
    assert "one plain process" in shown
    assert "Bottleneck: decoders (1 replica), busy 1.6 of 3.2 s (50%)" in shown
    numbers = json.loads(out.read_text())
    assert numbers["service_frames_per_s"] == 5.0
    assert numbers["ceiling"]["frames"] == 2 * 8
    assert numbers["service_over_ceiling"] == pytest.approx(5.0 / numbers["ceiling_frames_per_s"])


def test_a_plain_process_that_sees_other_frames_measures_nothing(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = of_clip(clip, tmp_path)
    cached = tmp_path / "reference.json"
    cached.write_text(cached.read_text().replace('"digest": "', '"digest": "0', 1))

    assert run(tmp_path, trial) == 2
    assert "gets other frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"environment": {**environment.describe(), "host": "elsewhere"}}, "host=elsewhere, and here"),
        ({"clip": None}, "has no video"),
        ({"metrics": {"requests": 2.0}}, "has no throughput"),
        ({"clip": replace(records.clip(), path="/gone.mp4")}, "video of .* is missing (/gone.mp4)"),
    ],
    ids=["machine", "no video", "failed", "gone"],
)
def test_what_this_machines_ceiling_says_nothing_about_is_refused(
    changes: dict[str, Any], says: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, replace(of_clip(clip, tmp_path), **changes)) == 2
    assert says.replace(" .* ", f" {tmp_path} ") in capsys.readouterr().err


def test_another_video_under_the_same_name_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = of_clip(clip, tmp_path)
    assert trial.clip is not None

    assert run(tmp_path, replace(trial, clip=replace(trial.clip, fingerprint="f"))) == 2
    assert "has changed since" in capsys.readouterr().err


def test_without_a_folder_the_latest_run_is_taken(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert efficiency.main([]) == 2
    assert "outputs/runs holds no trial" in capsys.readouterr().err
    for name, host in (("2026-01-01", "elsewhere"), ("2026-01-02", environment.describe()["host"])):
        folder = tmp_path / "outputs" / "runs" / name
        folder.mkdir(parents=True)
        trial = of_clip(clip, tmp_path)
        files.write_json(
            folder / files.TRIAL, replace(trial, environment={**trial.environment, "host": host})
        )

    assert efficiency.main(["--videos", "1"]) == 0
    assert "2026-01-02" in capsys.readouterr().out


def test_a_number_of_videos_below_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert efficiency.main(["--videos", "0"]) == 2
    assert "--videos 0 must be 1 or more" in capsys.readouterr().err
