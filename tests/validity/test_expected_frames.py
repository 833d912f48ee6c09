"""What is wrong in service and reference pass alike breaks a rule that names the cause."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import records
from vbench.config.schema import Config
from vbench.load.known_scene import KnownScene
from vbench.load.pipeline_args import pipeline_args
from vbench.load.reference import Reference, check, ensure_reference
from vbench.models.protocol import Detections, Detector
from vbench.models.registry import create
from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.request_settings import RequestSettings
from vbench.record.clip import Clip
from vbench.record.measurements import Measurements
from vbench.record.requests import Request
from vbench.validity import expected_frames
from vbench.validity.expected_frames import scene_frames
from vbench.validity.rules import judge
from vbench.video.cross_check.container_periods import periods_filled
from vbench.video.digest import file_digest
from vbench.video.scene import SceneSettings, ensure_clip, load_truth
from vbench.video.types import FrameGeometry

COUNT = "the number of frames fits the video's length"
SIZE = "frames are as large as configured"
OBJECTS = "the detector finds the scene's objects"
FRAME_BYTES = 640 * 360 * 3
SCENE = ("video.scene.length_s=4", "video.scene.unique_s=4")
SETTINGS = SceneSettings(length_s=4, unique_s=4, seed=1)


@cache
def configured(*overrides: str) -> Config:
    return records.config(*overrides)


def clip(**changes: Any) -> Clip:
    return replace(records.clip(), **({"reference_map50": 0.93} | changes))


def request(frames: int = 4, frame_bytes: int = FRAME_BYTES) -> Request:
    return records.request(frames_got=frames, frame_bytes=frames * frame_bytes)


def broken(config: Config, of: Clip, *requests: Request) -> list[str]:
    return [
        rule.name for rule in expected_frames.judge(config, of, requests or [request()]) if not rule.passed
    ]


def test_an_honest_trial_keeps_the_rules() -> None:
    config = configured(*SCENE)
    assert broken(config, clip()) == []
    assert [rule.name for rule in expected_frames.judge(config, clip(), [request()])] == [
        COUNT,
        SIZE,
        OBJECTS,
    ]


def test_the_rules_are_among_those_of_a_trial() -> None:
    rules = judge(
        configured(*SCENE),
        records.load_report(),
        Measurements(requests=[request()]),
        clip(reference_map50=0.0),
    )
    assert OBJECTS in [rule.name for rule in rules if not rule.passed]


@pytest.mark.parametrize("frames", [2, 3, 5, 8])
def test_another_number_of_frames_than_the_scene_has_breaks_the_rule(frames: int) -> None:
    config = configured(*SCENE)
    assert broken(config, clip(frames_expected=frames), request(frames)) == [COUNT]
    assert broken(config, clip(), request(4), request(frames)) == [COUNT]


@pytest.mark.parametrize(
    ("length_s", "rate", "fps", "frames"),
    [
        (4.0, "30", "1", 4),
        (4.0, "30000/1001", "1", 4),
        (4.1, "30", "1", 5),
        (4.0, "30", "30", 120),
        (4.0, "30", "1000", 120),
        (4.0, "24", "5", 20),
        (3.3, "15/2", "2", 7),
        (0.1, "30", "1/10", 1),
    ],
)
def test_a_scene_has_a_frame_in_each_period_of_its_length(
    length_s: float, rate: str, fps: str, frames: int
) -> None:
    fraction = Fraction(rate)
    times_s = [number / fraction for number in range(round(Fraction(length_s) * fraction))]
    periods = {time_s * Fraction(fps) // 1 for time_s in times_s}
    assert len(periods) == frames  # finer periods hold a frame each, or none
    assert scene_frames(length_s, fraction, Fraction(fps)) == frames


def test_a_files_frames_are_held_against_the_times_in_its_container(tmp_path: Path) -> None:
    config = configured("video=file", "video.path=clip.mp4")
    of = clip(reference_map50=None, periods_filled=100)
    for frames, names in ((100, []), (96, []), (104, []), (94, [COUNT]), (50, [COUNT]), (106, [COUNT])):
        assert broken(config, replace(of, frames_expected=frames), request(frames)) == names


def test_keyframes_may_be_fewer_but_not_more() -> None:
    config = configured(*SCENE, "pipeline.keyframes_only=true")
    assert broken(config, clip(frames_expected=2), request(2)) == []
    assert broken(config, clip(frames_expected=5), request(5)) == [COUNT]


def test_smaller_pictures_break_the_rule() -> None:
    config = configured(*SCENE)
    assert broken(config, clip(), request(frame_bytes=32 * 32 * 3)) == [SIZE]
    native = configured(*SCENE, "pipeline.frame_size=native", "pipeline.pixel_format=yuv420p")
    assert broken(native, clip(), request(frame_bytes=320 * 180 * 3 // 2)) == []
    assert broken(native, clip(), request(frame_bytes=320 * 180 * 3)) == [SIZE]


def test_the_floor_can_be_lowered_and_is_for_trained_detectors() -> None:
    poor = clip(reference_map50=0.3)
    assert broken(configured(*SCENE), poor) == [OBJECTS]
    assert broken(configured(*SCENE), clip(reference_map50=None)) == [OBJECTS]
    assert broken(configured(*SCENE, "load.min_scene_map50=0.25"), poor) == []
    assert broken(configured(*SCENE, "model.weights=random"), poor) == []
    assert broken(configured(*SCENE, "video.scene.objects=0"), clip(reference_map50=None)) == []


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_clip(SETTINGS, tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    detector = create(pipeline_args(configured()).model, threads=2)
    detector.load()
    return detector


def reference_of(path: Path, detector: Detector, cache: Path) -> tuple[Reference, FrameGeometry]:
    args = pipeline_args(configured(*SCENE))
    job = RequestSettings.of(ProcessRequest(video=str(path)), args)
    with job.splitter(path) as splitter:
        info = splitter.info
    geometry = frame_geometry(args, info)
    known = KnownScene(settings=SETTINGS, truth=load_truth(path))
    return ensure_reference(info, file_digest(path), job, geometry, detector, known, cache, lambda _: None)[
        1
    ], geometry


def clip_of(path: Path, reference: Reference) -> Clip:
    return clip(
        reference_map50=reference.map50,
        frames_expected=len(reference.frames),
        periods_filled=periods_filled(path, Fraction(1)),
    )


def test_the_reference_of_a_scene_keeps_the_rules(scene: Path, detector: Detector, tmp_path: Path) -> None:
    reference, geometry = reference_of(scene, detector, tmp_path)

    assert len(reference.frames) == 4 == periods_filled(scene, Fraction(1))
    assert geometry.frame_bytes == FRAME_BYTES
    assert broken(configured(*SCENE), clip_of(scene, reference)) == []


def halve_boxes(patch: pytest.MonkeyPatch) -> None:
    right = FrameGeometry.to_source
    patch.setattr(FrameGeometry, "to_source", lambda self, boxes: right(self, boxes) / np.float32(2))


def detect_nothing(patch: pytest.MonkeyPatch) -> None:
    from vbench.models.shapes import ShapesDetector

    def nothing(self: ShapesDetector, frames: np.ndarray[Any, Any]) -> list[Detections]:
        return [
            Detections(
                classes=np.zeros(0, np.int64),
                scores=np.zeros(0, np.float32),
                boxes=np.zeros((0, 4), np.float32),
            )
            for _ in frames
        ]

    patch.setattr(ShapesDetector, "detect", nothing)


@pytest.mark.parametrize("sabotage", [halve_boxes, detect_nothing])
def test_what_spoils_detections_on_both_sides_is_noticed(
    sabotage: Any, scene: Path, detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)

    reference, _ = reference_of(scene, detector, tmp_path)

    assert broken(configured(*SCENE), clip_of(scene, reference)) == [OBJECTS]


def test_small_pictures_on_both_sides_are_noticed(
    scene: Path, detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FrameGeometry.fitted

    def small(*given: Any) -> FrameGeometry:
        return replace(right(*given), inner_width=32, inner_height=32, pad_x=0, pad_y=0)

    monkeypatch.setattr(FrameGeometry, "fitted", small)

    reference, _ = reference_of(scene, detector, tmp_path)

    assert broken(configured(*SCENE), clip_of(scene, reference)) == [OBJECTS]


def test_an_index_that_lacks_frames_disagrees_with_the_reference(
    scene: Path, detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the frames, by the code that service and reference once shared."""
    from vbench.video import sampling
    from vbench.video.index.packet_index import PacketIndex

    right = PacketIndex.sampled_pts
    monkeypatch.setattr(PacketIndex, "sampled_pts", lambda *given, **named: right(*given, **named)[::2])
    monkeypatch.setattr(sampling, "sampled", lambda pts, *_: pts[::2])
    args = pipeline_args(configured(*SCENE))
    with RequestSettings.of(ProcessRequest(video=str(scene)), args).splitter(scene) as splitter:
        served = splitter.sampled_pts.tolist()

    reference, _ = reference_of(scene, detector, tmp_path)

    assert (len(served), len(reference.frames)) == (2, 4)
    frames = [{"pts": pts, "digest": "", "detections": []} for pts in served]
    verdict = check(reference, {"chunks": [{"frames": frames}]}, 0.3)
    assert verdict.frames_wrong > 0
    assert verdict.mismatch == "2 frames instead of 4"
