"""The transformer detectors: read from real checkpoints, and in agreement with the package they come from."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.agreeing import needs_gpu
from vbench.models.protocol import Detector, ModelError
from vbench.models.registry import create
from vbench.models.settings import ModelSettings

Pictures = npt.NDArray[np.uint8]
Checkpoint = tuple[str, Path, Any]
"""A detector's name, the folder of its checkpoint, and the model in it."""
BACKBONE = {
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
SMALL = {
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [8, 16, 16],
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "decoder_in_channels": [32, 32, 32],
    "decoder_layers": 2,
    "num_queries": 30,
    "num_labels": 7,
    # Scores of an untrained network would all lie at the floor, and nothing be found.
    "initializer_bias_prior_prob": 0.4,
}


def tiny(name: str) -> Any:
    """A model of a few thousand weights, drawn at random, in the real architecture."""
    import transformers

    torch.manual_seed(3)
    if name == "rtdetr":
        backbone = transformers.RTDetrResNetConfig(**BACKBONE, out_indices=[2, 3, 4])
        model: Any = transformers.RTDetrV2ForObjectDetection(
            transformers.RTDetrV2Config(**SMALL, backbone_config=backbone)
        )
    else:
        stages = {
            "hidden_sizes": [8, 8, 16, 16],
            "stem_channels": [3, 8, 8],
            "stage_in_channels": [8, 8, 8, 16],
            "stage_mid_channels": [8, 8, 8, 8],
            "stage_out_channels": [8, 8, 16, 16],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [1, 1, 1, 1],
        }
        backbone = transformers.HGNetV2Config(**stages, out_indices=[2, 3, 4])
        model = transformers.DFineForObjectDetection(
            transformers.DFineConfig(**SMALL, backbone_config=backbone)
        )
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(3)  # predictions that differ from query to query
    return model.eval()


@pytest.fixture(scope="module", params=["rtdetr", "dfine"])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Any]:
    """Name, folder and model, saved as transformers saves it."""
    model = tiny(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return request.param, folder, model


@pytest.fixture(scope="module")
def detector(checkpoint: Checkpoint) -> Detector:
    name, folder, _ = checkpoint
    made = create(ModelSettings(name=name, weights=str(folder), score_threshold=0.4, batch_size=2))
    made.load()
    return made


@pytest.fixture(scope="module")
def frames() -> Pictures:
    return np.random.default_rng(5).integers(0, 256, (3, 640, 640, 3), dtype=np.uint8)


def test_detections_are_those_of_transformers_own_processing(
    checkpoint: Checkpoint, detector: Detector, frames: Pictures
) -> None:
    _, _, model = checkpoint
    from transformers import RTDetrImageProcessorPil

    processor = RTDetrImageProcessorPil()
    with torch.inference_mode():
        outputs = model(**processor(images=list(frames), return_tensors="pt"))
    expected = processor.post_process_object_detection(outputs, threshold=0.4, target_sizes=[(640, 640)] * 3)

    found = detector.detect(frames)

    assert sum(len(one.classes) for one in found) > 10
    for one, other in zip(found, expected, strict=True):
        assert len(one.classes) == len(other["labels"])
        assert np.abs(one.scores - other["scores"].numpy()).max(initial=0) < 1e-4
        assert np.array_equal(one.classes, other["labels"].numpy())
        assert np.abs(one.boxes - other["boxes"].numpy().clip(0, 640)).max(initial=0) < 0.1


@needs_gpu
@pytest.mark.parametrize("graph", [True, False])
def test_a_gpu_finds_what_the_cpu_finds(
    checkpoint: Checkpoint, detector: Detector, frames: Pictures, graph: bool
) -> None:
    name, folder, _ = checkpoint
    there = create(
        ModelSettings(
            name=name,
            weights=str(folder),
            score_threshold=0.4,
            batch_size=2,
            device="cuda",
            cuda_graph=graph,
        )
    )
    there.load()

    for one, other in zip(there.detect(frames), detector.detect(frames), strict=True):
        assert len(one.classes) == len(other.classes)
        assert np.abs(one.scores - other.scores).max(initial=0) < 1e-3
        same = one.classes == other.classes
        assert same.mean() > 0.9  # where two scores are alike, their order may change
        assert np.abs(one.boxes[same] - other.boxes[same]).max(initial=0) < 2


def test_boxes_come_back_in_pixels_of_the_frames_given(detector: Detector, frames: Pictures) -> None:
    whole = detector.detect(frames[:1])[0]
    large = detector.detect(frames[:1].repeat(2, axis=1).repeat(2, axis=2))[0]

    assert detector.input.fit == "stretch"
    assert len(large.classes) > 0
    assert large.boxes.max() > 640
    # Pixels doubled and halved again with antialiasing are nearly the same picture.
    assert abs(len(large.classes) - len(whole.classes)) <= max(3, len(whole.classes) // 3)


def test_names_are_the_checkpoints(detector: Detector) -> None:
    assert detector.class_names == tuple(f"LABEL_{index}" for index in range(7))


def test_fingerprint_tells_weights_and_settings_apart(checkpoint: Checkpoint, tmp_path: Path) -> None:
    name, folder, model = checkpoint
    plain = ModelSettings(name=name, weights=str(folder))
    fingerprint = create(plain).fingerprint
    rounded = create(ModelSettings(name=name, weights=str(folder), precision="bf16"))
    with torch.no_grad():
        next(model.parameters()).add_(1e-3)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        next(model.parameters()).sub_(1e-3)
    other = create(ModelSettings(name=name, weights=str(tmp_path)))

    loaded = create(plain)
    loaded.load()

    assert loaded.fingerprint == create(plain).fingerprint == fingerprint
    assert len({fingerprint, rounded.fingerprint, other.fingerprint}) == 3


def test_random_weights_are_the_same_wherever_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import RTDetrV2ForObjectDetection

    # With fewer layers: the full model takes seconds to draw, and 170 MB.
    small = tiny("rtdetr").config
    original = RTDetrV2ForObjectDetection.__init__

    def init(self: Any, config: Any) -> None:
        assert config.num_labels == 80
        original(self, small)

    monkeypatch.setattr(RTDetrV2ForObjectDetection, "__init__", init)
    first, second = (create(ModelSettings(name="rtdetr", weights="random")) for _ in range(2))
    drawn = first.fingerprint
    torch.manual_seed(9)

    assert second.fingerprint == drawn


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ("bundled", "rtdetr comes without weights: give a folder"),
        ("nobody/nothing", "no weights of rtdetr can be read from nobody/nothing ("),
        ("/nowhere", "no weights of rtdetr can be read from /nowhere ("),
    ],
)
def test_weights_that_cannot_be_had_are_named(
    weights: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        create(ModelSettings(name="rtdetr", weights=weights)).load()
    assert named in str(caught.value)


def test_a_name_on_the_hub_is_read_at_its_pinned_revision(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the hub's cache on disk, which holds two revisions of one model; ``main`` is the other."""
    name, folder, _ = checkpoint
    pinned, newest = "1" * 40, "2" * 40
    model = tmp_path / "models--someone--detector"
    for revision in (pinned, newest):
        (model / "snapshots" / revision).mkdir(parents=True)
        (model / "snapshots" / revision / "config.json").write_bytes((folder / "config.json").read_bytes())
    weights = load_file(folder / "model.safetensors")
    save_file(weights, model / "snapshots" / pinned / "model.safetensors", {"format": "pt"})
    other = {key: value + 1 if value.is_floating_point() else value for key, value in weights.items()}
    save_file(other, model / "snapshots" / newest / "model.safetensors", {"format": "pt"})
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(newest)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(tmp_path), raising=False)

    def fingerprint(weights: str) -> str:
        return create(ModelSettings(name=name, weights=weights)).fingerprint

    stored = fingerprint(str(folder))
    assert fingerprint(f"someone/detector@{pinned}") == stored
    assert fingerprint("someone/detector") == fingerprint(f"someone/detector@{newest}") != stored
    with pytest.raises(ModelError, match=r"no weights of .+ can be read from someone/detector"):
        fingerprint(f"someone/detector@{'3' * 40}")


def test_a_checkpoint_of_another_model_is_refused(checkpoint: Checkpoint) -> None:
    name, folder, _ = checkpoint
    other = {"rtdetr": "dfine", "dfine": "rtdetr"}[name]
    with pytest.raises(ModelError, match=rf"are of a .+ model, not of {other}"):
        create(ModelSettings(name=other, weights=str(folder))).load()


def test_a_checkpoint_without_all_weights_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    name, folder, _ = checkpoint
    weights = load_file(folder / "model.safetensors")
    gone = next(key for key in weights if key.endswith("weight"))
    save_file({key: value for key, value in weights.items() if key != gone}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(ModelError, match=rf"are not whole: 1 are missing .+ the first is {gone}"):
        create(ModelSettings(name=name, weights=str(tmp_path))).load()


def test_a_damaged_checkpoint_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    name, folder, _ = checkpoint
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match=rf"no weights of {name} can be read from .+: give a folder"):
        create(ModelSettings(name=name, weights=str(tmp_path))).load()
