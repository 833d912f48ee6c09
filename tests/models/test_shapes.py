"""The shapes detector with its bundled weights: what it finds, and what it refuses."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.agreeing import agree
from vbench.models.average_precision import pairwise_iou
from vbench.models.evaluate import evaluate, unseen_settings
from vbench.models.protocol import Detector, ModelError
from vbench.models.registry import create
from vbench.models.settings import ModelSettings, Precision
from vbench.models.shapes import BUNDLED
from vbench.models.train_data import decode_scene
from vbench.video.frames import decode_video
from vbench.video.scene import Scene, SceneSettings, ensure_clip
from vbench.video.scenes.shapes import SHAPES
from vbench.video.types import FrameGeometry

Pictures = npt.NDArray[np.uint8]


@pytest.mark.parametrize(
    ("width", "height", "count"), [(1280, 720, 8), pytest.param(1920, 1080, 4, marks=pytest.mark.long)]
)
def test_finds_the_shapes_of_unseen_scenes_after_h264(width: int, height: int, count: int) -> None:
    searching = create(ModelSettings(score_threshold=0.01))
    searching.load()
    scenes = [unseen_settings(width, height, 500 + i) for i in range(count)]
    precision, _ = evaluate(searching, scenes)
    assert precision.wanted > 35 * count
    assert set(precision.by_class) == set(SHAPES)
    assert precision.mean >= 0.95


def test_frames_scaled_by_the_detector_are_as_good_as_by_ffmpeg(detector: Detector) -> None:
    settings = unseen_settings(1280, 720, 600)
    scaled, truth = decode_scene(settings, settings.rate / 5)
    clear = [[t for t in frame if t.visible > 0.7] for frame in truth]
    native = np.stack([Scene(settings).frame(5 * i) for i in range(len(scaled))])
    for pictures, scale in ((scaled, 2), (native, 1)):
        for result, wanted in zip(detector.detect(pictures), clear, strict=True):
            boxes = np.array([t.box for t in wanted], np.float32)
            assert (pairwise_iou(boxes, result.boxes * scale).max(1) > 0.5).mean() > 0.85


def test_detections_keep_the_protocol(detector: Detector, frames: Pictures) -> None:
    results = detector.detect(frames)
    assert len(results) == len(frames)
    assert detector.class_names == tuple(SHAPES)
    for result in results:
        count = len(result.classes)
        assert count > 3
        assert (result.classes.dtype, result.scores.dtype, result.boxes.dtype) == (
            np.int64,
            np.float32,
            np.float32,
        )
        assert (result.scores.shape, result.boxes.shape) == ((count,), (count, 4))
        assert (np.diff(result.scores) <= 0).all()
        assert result.scores.min() >= 0.3
        assert result.scores.max() <= 1
        assert (result.boxes[:, 2:] > result.boxes[:, :2]).all()
        assert result.boxes.min() >= 0
        assert (result.boxes <= [640, 360, 640, 360]).all()
        assert result.classes.max() < len(detector.class_names)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batch_size_does_not_change_what_is_found(
    detector: Detector, frames: Pictures, batch_size: int
) -> None:
    other = create(ModelSettings(batch_size=batch_size))
    other.load()
    for first, second in zip(detector.detect(frames), other.detect(frames), strict=True):
        agree(first, second)


def test_company_in_the_batch_does_not_change_what_is_found(detector: Detector, frames: Pictures) -> None:
    noise = np.random.default_rng(0).integers(0, 256, frames.shape, dtype=np.uint8)
    mixed = np.concatenate([noise[:3], frames[:1], noise[3:6]])
    agree(detector.detect(mixed)[3], detector.detect(frames[:1])[0])


def test_no_frames_give_no_results(detector: Detector) -> None:
    assert detector.detect(np.empty((0, 360, 640, 3), np.uint8)) == []


@pytest.mark.parametrize("value", [0, 255])
def test_plain_frames_hold_nothing(detector: Detector, value: int) -> None:
    for size in ((360, 640), (1080, 1920)):
        (result,) = detector.detect(np.full((1, *size, 3), value, np.uint8))
        assert (result.boxes.shape, result.boxes.dtype) == ((0, 4), np.float32)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (361, 639), (1080, 1920), (640, 360), (50, 2000)])
def test_frames_of_any_size_are_searched(detector: Detector, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    for result in detector.detect(noise):
        assert (result.boxes <= [size[1], size[0], size[1], size[0]]).all()


def test_boxes_come_back_in_pixels_of_the_frames_given(detector: Detector) -> None:
    # A square picture is letterboxed; its objects are found where they are in the square.
    scene = Scene(SceneSettings(width=1440, height=1440, seed=1, objects=5))
    (result,) = detector.detect(scene.frame(0)[None])
    clear = [t for t in scene.truth(0) if t.visible > 0.8 and t.box[2] - t.box[0] > 120]
    assert len(clear) >= 2
    for truth in clear:
        overlap = pairwise_iou(np.array([truth.box], np.float32), result.boxes)[0]
        assert overlap.max(initial=0) > 0.7
        assert detector.class_names[result.classes[overlap.argmax()]] == truth.class_name


def test_read_only_and_strided_frames_are_welcome_and_left_alone(
    detector: Detector, frames: Pictures
) -> None:
    plain = detector.detect(frames[:2])
    locked = frames[:2].copy()
    locked.flags.writeable = False
    wide = np.zeros((2, 360, 700, 3), np.uint8)
    wide[:, :, 30:670] = frames[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for view in (locked, wide[:, :, 30:670], np.asfortranarray(locked)):
            before = view.copy()
            for first, second in zip(plain, detector.detect(view), strict=True):
                agree(first, second)
            assert np.array_equal(view, before)


@pytest.mark.parametrize(
    "batch",
    [np.zeros((360, 640, 3), np.uint8), np.zeros((1, 3, 360, 640), np.uint8), np.zeros((1, 360, 640, 3))],
)
def test_what_is_no_batch_of_frames_is_refused(detector: Detector, batch: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"frames must be uint8\[N, H, W, 3\]"):
        detector.detect(batch)


def test_detecting_before_loading_is_refused(frames: Pictures) -> None:
    with pytest.raises(ModelError, match="call load"):
        create(ModelSettings()).detect(frames)


def test_bf16_finds_what_fp32_finds(detector: Detector, frames: Pictures) -> None:
    coarse = create(ModelSettings(precision="bf16"))
    coarse.load()
    sure = [result.scores > 0.5 for result in detector.detect(frames)]
    for mask, first, second in zip(sure, detector.detect(frames), coarse.detect(frames), strict=True):
        assert pairwise_iou(first.boxes[mask], second.boxes).max(1).min() > 0.8


def test_yuv420p_frames_are_searched_as_well_as_rgb24(detector: Detector, tmp_path: Path) -> None:
    clip = ensure_clip(SceneSettings(width=1280, height=720, length_s=2, unique_s=2, seed=5), tmp_path)
    found = []
    for pixel_format in ("rgb24", "yuv420p"):
        geometry = FrameGeometry.fitted(1280, 720, 640, 360, "letterbox", pixel_format)
        (frames,) = decode_video(clip, fps=Fraction(4), geometry=geometry, threads=1, timeout_s=60)
        found.append(detector.detect(frames.pixels))
    sure = [result.scores > 0.5 for result in found[0]]
    assert sum(map(np.count_nonzero, sure)) > 20
    for mask, first, second in zip(sure, *found, strict=True):
        assert pairwise_iou(first.boxes[mask], second.boxes).max(1).min() > 0.8


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_memory_layout_does_not_change_what_is_found(frames: Pictures, precision: Precision) -> None:
    found = []
    for channels_last in (True, False):
        made = create(ModelSettings(channels_last=channels_last, precision=precision))
        made.load()
        # A CPU without bf16 of its own takes a second for a frame.
        found.append(made.detect(frames[:1] if precision == "bf16" else frames))
    sure = [result.scores > 0.5 for result in found[0]]
    for mask, first, second in zip(sure, *found, strict=True):
        assert pairwise_iou(first.boxes[mask], second.boxes).max(1).min() > (
            0.99 if precision == "fp32" else 0.8
        )


@pytest.mark.long
@pytest.mark.slow
def test_a_compiled_model_finds_the_same_in_batches_of_any_length(
    detector: Detector, frames: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiled = create(ModelSettings(compile=True, batch_size=4))
    compiled.load()
    for count in (1, 3, 4, 11):
        for first, second in zip(
            detector.detect(frames[:count]), compiled.detect(frames[:count]), strict=True
        ):
            agree(first, second)


def test_a_model_that_cannot_be_compiled_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nowhere/g++",))

    with pytest.raises(ModelError, match=r"cannot be compiled \(.+\): install a C\+\+ compiler"):
        create(ModelSettings(compile=True, batch_size=2)).load()


def test_loading_sets_the_threads_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            create(ModelSettings(), threads=threads).load()
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_fingerprint_tells_settings_and_weights_apart(tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(BUNDLED.read_bytes())
    plain = create(ModelSettings()).fingerprint
    assert plain == create(ModelSettings()).fingerprint
    assert plain == create(ModelSettings(weights=str(copy))).fingerprint
    others = [
        create(ModelSettings(precision="bf16")).fingerprint,
        create(ModelSettings(score_threshold=0.5)).fingerprint,
    ]
    copy.write_bytes(BUNDLED.read_bytes() + b" ")
    others.append(create(ModelSettings(weights=str(copy))).fingerprint)
    assert len({plain, *others}) == 4


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])


def text(path: Path) -> None:
    path.write_text("not weights")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_another_network(path: Path) -> None:
    save_file(load_file(path), path, {"architecture": "shapes-0", "class_names": "[]"})


def without_metadata(path: Path) -> None:
    save_file(load_file(path), path)


def without_class_names(path: Path) -> None:
    save_file(load_file(path), path, {"architecture": "shapes-1"})


def with_a_layer_missing(path: Path) -> None:
    weights = load_file(path)
    weights.popitem()
    save_file(weights, path, {"architecture": "shapes-1", "class_names": '["a", "b"]'})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "no model weights at"),
        (truncated, "damaged"),
        (text, "damaged"),
        (empty, "damaged"),
        (of_another_network, "are for shapes-0, not shapes-1"),
        (without_metadata, "are for another network, not shapes-1"),
        (without_class_names, "name no classes"),
        (with_a_layer_missing, "do not fit the network"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_with_path_and_remedy(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(BUNDLED.read_bytes())
    damage(path)
    with pytest.raises(ModelError, match=words) as caught:
        create(ModelSettings(weights=str(path))).load()
    assert str(path) in str(caught.value)
    assert "use model.weights=bundled, or make them with: python -m vbench.models.train_shapes" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, "batch_size 0"),
        ({"device": "gpu"}, "device 'gpu' is unknown"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"device": "meta"}, "device 'meta' is unknown"),
        ({"precision": "fp8"}, "precision 'fp8'"),
        ({"score_threshold": 1.5}, "score_threshold 1.5"),
    ],
)
def test_settings_that_cannot_be_met_are_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        create(replace(ModelSettings(), **change)).load()  # type: ignore[arg-type]  # wrong on purpose


def test_no_threads_are_refused() -> None:
    with pytest.raises(ModelError, match="threads 0"):
        create(ModelSettings(), threads=0)


def test_bundled_weights_stay_small() -> None:
    assert BUNDLED.stat().st_size < 2_000_000
