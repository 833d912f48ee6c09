"""Detector and decoder are held against answers that neither service nor reference pass gave."""

import copy
import functools
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import records
from tests.support.http_files import Behaviour, serving
from vbench.config.schema import Config, VideoConfig
from vbench.load.known_scene import KnownScene
from vbench.load.prepare import prepare
from vbench.load.reference import Reference, ReferenceFrame, check, read_reference
from vbench.load.reference_checks import is_checked
from vbench.load.spec import LoadSpec
from vbench.load.video_copy import local_copy
from vbench.models import torch_detector
from vbench.record.clip import Clip
from vbench.record.requests import Request
from vbench.validity.known_answers import judge
from vbench.video.cache import digest_path
from vbench.video.cross_check import one_pass
from vbench.video.scene import SceneSettings, SceneTruth, clip_path, load_truth
from vbench.video.scenes.rotate import first_frame
from vbench.video.types import TruthBox

DETECTOR = "the detector agrees with a plain implementation"
CHANGE = "detections change when objects move"
PICTURES = "frames show the scene as it was rendered"

SMALL = (
    "video.scene.width=320",
    "video.scene.height=180",
    "video.scene.length_s=2",
    "video.scene.unique_s=2",
    "video.scene.gop_s=1",
    "pipeline.fps=3",
    "load.concurrency=1",
    "tracking=off",
)


@functools.cache
def composed(*overrides: str) -> Config:
    return records.config(*SMALL, *overrides)


def configured(*overrides: str) -> Config:
    return copy.deepcopy(composed(*overrides))


def scene() -> SceneSettings:
    """Of this configuration."""
    settings = configured().video.scene
    assert settings is not None
    return SceneSettings(**asdict(settings))


def broken(config: Config, clip: Clip | None, requests: list[Request] | None = None) -> dict[str, str]:
    requests = [records.request(detections_repeated=0)] if requests is None else requests
    return {rule.name: rule.observed for rule in judge(config, clip, requests) if not rule.passed}


def clip_with(**changes: Any) -> Clip:
    return replace(records.clip(), checks=[records.checks(), records.checks(**changes)])


@pytest.mark.parametrize(
    ("changes", "rule", "cause"),
    [
        ({"plain_wrong": 3, "plain_first": "frame 1: not found: ring"}, DETECTOR, "frame 1: not found: ring"),
        ({"plain_frames": 0, "plain_objects": 0}, DETECTOR, "0 of 40 objects in 4 frames"),
        ({"frames_repeated": 1}, CHANGE, "1 of 6 frames of the reference pass"),
        ({"likeness": 0.5}, PICTURES, "do not show the rendered picture"),
        ({"detail_lost": 0.5}, PICTURES, "less resolution than the video: 50% of the finest detail"),
        ({"levels_share": 0.25}, PICTURES, "25% of the grey levels"),
        ({"pictures": 0, "likeness": None, "levels_share": None}, PICTURES, "no frame could be compared"),
    ],
)
def test_each_check_breaks_the_rule_that_names_the_cause(
    changes: dict[str, Any], rule: str, cause: str
) -> None:
    found = broken(configured(), clip_with(**changes))
    assert found.keys() == {rule}
    assert cause in found[rule]


def test_what_rounding_does_breaks_no_rule() -> None:
    assert broken(configured(), clip_with(plain_wrong=2, detail_lost=0.2, levels_share=0.7)) == {}
    assert broken(configured(), clip_with(detail=0.5, detail_lost=0.9)) == {}


def test_responses_that_repeat_detections_break_the_rule() -> None:
    requests = [records.request(detections_repeated=0), records.request(1, detections_repeated=2)]
    found = broken(configured(), clip_with(), requests)
    assert found.keys() == {CHANGE}
    assert "2 frames of the responses" in found[CHANGE]


def test_rules_are_for_what_can_be_known() -> None:
    bad = clip_with(plain_wrong=9, frames_repeated=3, likeness=0.1)
    assert broken(configured(), replace(bad, checks=())) == {}  # a record of an earlier version
    assert broken(configured(), None) == {}
    assert broken(records.config("video=file", "video.path=clip.mp4"), bad).keys() == {DETECTOR}
    assert broken(configured("model=rtdetr", "model.weights=random"), bad).keys() == {CHANGE, PICTURES}
    for rule in judge(configured(), bad, []):
        assert rule.remedy
        assert rule.observed


def test_a_response_that_repeats_detections_is_counted_where_objects_moved() -> None:
    def frame(pts: int, *, moved: bool) -> ReferenceFrame:
        box = [float(pts), 1.0, pts + 9.0, 9.0]
        return ReferenceFrame(pts=pts, digest="d", names=["ring"], scores=[0.9], boxes=[box], moved=moved)

    reference = Reference(
        frames=[frame(0, moved=False), frame(1, moved=True), frame(2, moved=False)], map50=None
    )
    same = [{"class_name": "ring", "score": 0.9, "box": [0.0, 1.0, 9.0, 9.0]}]

    def repeated(*detections: list[dict[str, Any]]) -> int:
        frames = [{"pts": i, "digest": "d", "detections": each} for i, each in enumerate(detections)]
        return check(reference, {"chunks": [{"frames": frames}]}, 0.3).detections_repeated

    assert repeated(same, same, same) == 1
    assert repeated([], [], []) == 0
    assert repeated(same, [{**same[0], "score": 0.91}], same) == 0


def test_checked_frames_are_pairs_of_neighbours() -> None:
    assert [index for index in range(300) if is_checked(index)] == [0, 1, 4, 5, 16, 17, 64, 65, 256, 257]
    assert [index for index in range(300) if is_checked(index, variant=True)] == [0, 1]


def test_an_object_has_moved_if_its_box_has() -> None:
    def box(*edges: float, name: str = "ring", visible: float = 1.0) -> TruthBox:
        return TruthBox(class_name=name, box=edges, visible=visible)  # type: ignore[arg-type]  # four of them

    settings = SceneSettings(fps="1", length_s=2, unique_s=2)

    def moved(before: TruthBox, after: TruthBox) -> bool:
        truth = SceneTruth(rate=settings.rate, frames=((before,), (after,)))
        return KnownScene(settings=settings, truth=truth).has_moved(0.0, 1.0)

    assert moved(box(0, 0, 50, 50), box(3, 0, 53, 50))
    assert not moved(box(0, 0, 50, 50), box(2, 0, 52, 50))
    assert not moved(box(0, 0, 200, 50), box(5, 0, 205, 50))
    assert not moved(box(0, 0, 50, 50), box(30, 0, 80, 50, visible=0.1))
    assert moved(box(0, 0, 50, 50), box(0, 0, 50, 50, name="star"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


def prepared(outputs: Path, *overrides: str) -> Clip:
    config = configured(*overrides)
    config.outputs = str(outputs)
    clip = prepare(LoadSpec(config=config, folder=outputs, endpoint=None))
    assert clip is not None
    assert len(clip.checks) == 1 + len(clip.variants)
    return clip


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [event["message"] for event in said if event["event"] == "note"]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("pipeline.frame_size=native", "pipeline.pixel_format=yuv420p", "model.precision=bf16"),
    ],
)
def test_an_honest_reference_pass_breaks_no_rule(
    overrides: tuple[str, ...], outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = prepared(outputs, *overrides)
    assert broken(configured(*overrides), clip) == {}
    assert sum(one.plain_objects for one in clip.checks) > 50
    assert {one.frames_moved for one in clip.checks} == {5}
    assert notes(capsys) == []


SABOTAGE = Path(__file__).with_name("sabotage")


@pytest.fixture
def sabotaged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(SABOTAGE)
    before = torch_detector.TorchDetector.submit
    monkeypatch.setattr(one_pass, "picture_filters", one_pass.picture_filters)
    monkeypatch.setattr(torch_detector.TorchDetector, "submit", before)

    def change(name: str) -> None:
        module = importlib.import_module(name)
        module.change(torch_detector if "vbench.models.torch_detector" in module.CHANGES else one_pass)

    yield change
    for name in [name for name, module in sys.modules.items() if hasattr(module, "CHANGES")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("sabotage", "rules", "cause"),
    [
        ("frames_left_out", {DETECTOR, CHANGE}, "frame 1: not found"),
        ("half_resolution_detected", {DETECTOR}, "frame 0: not found"),
        ("grey_levels_detected", {DETECTOR}, "not found"),
        ("half_resolution_decoded", {PICTURES}, "less resolution than the video"),
        ("grey_levels_decoded", {PICTURES}, "of the grey levels of a plain decoder's frames"),
    ],
)
def test_what_service_and_reference_see_alike_and_wrongly_breaks_a_rule(
    sabotage: str,
    rules: set[str],
    cause: str,
    sabotaged: Any,
    outputs: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sabotaged(sabotage)
    for cached in (outputs / "cache" / "reference").glob("*"):
        cached.unlink()
    found = broken(configured(), prepared(outputs))
    assert found.keys() == rules
    assert cause in " ".join(found.values())


def test_a_cached_file_that_was_replaced_is_made_again_with_a_sentence(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cached in (outputs / "cache" / "reference").glob("*"):
        cached.unlink()
    honest = prepared(outputs)
    paths = [honest.path, honest.reference, honest.variants[0]["path"], honest.variants[0]["reference"]]
    for path in map(Path, paths):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"x")
        assert replace(prepared(outputs), compute_s={}) == replace(honest, compute_s={})
        assert path.read_bytes() == whole
    assert notes(capsys) == [
        f"{path} differs from what was written to the cache: it is made again." for path in paths
    ]


def test_a_fetched_copy_that_was_replaced_is_fetched_again_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Behaviour(b"a video" * 1000)) as url:
        video = VideoConfig(name="file", path=f"{url}/clip.mp4")
        copied = local_copy(video, tmp_path)
        copied.write_bytes(b"another one")
        assert local_copy(video, tmp_path).read_bytes() == b"a video" * 1000
        assert local_copy(video, tmp_path) == copied
    assert notes(capsys) == [f"{copied} differs from what was downloaded: it is downloaded again."]


def test_a_clip_that_was_replaced_with_its_digest_shows_another_scene(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wrong clip is taken, but its pictures are not those that the settings give."""
    other = Path(prepared(outputs, "video.scene.seed=5").path)
    clip = Path(prepared(outputs).path)
    settings = scene()
    assert clip == clip_path(settings, clip.parent)
    kept = {path: path.read_bytes() for path in (clip, digest_path(clip))}
    clip.write_bytes(other.read_bytes())
    facts = json.loads(digest_path(other).read_text())
    digest_path(clip).write_text(json.dumps({**facts, "made_from": settings.fingerprint}))
    try:
        found = broken(configured(), prepared(outputs))
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    assert "do not show the rendered picture" in found[PICTURES]


def test_a_reference_knows_which_frames_show_objects_that_moved(outputs: Path) -> None:
    clip = prepared(outputs)
    for path in (clip.reference, clip.variants[0]["reference"]):
        assert [frame.moved for frame in read_reference(path).frames] == [False, *[True] * 5]


def test_a_variant_shows_the_scene_from_its_keyframe_on(outputs: Path) -> None:
    clip = prepared(outputs)
    begins_at = first_frame(Path(clip.variants[0]["path"]))
    known = KnownScene(settings=scene(), truth=load_truth(Path(clip.path)), begins_at=begins_at)
    assert begins_at == 30
    assert known.boxes(0.0) == known.truth.at_frame(30)
    assert known.boxes(1.0) == known.truth.at_frame(0)
    whole = replace(known, begins_at=0)
    assert np.array_equal(known.picture(0.5), whole.picture(1.5))
