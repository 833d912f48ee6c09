"""The plain implementation of the shapes detector finds what is there, and what the served one finds."""

from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vbench.load.reference_checks import AGREES
from vbench.models.average_precision import mean_average_precision
from vbench.models.matching import LabelledBoxes, disagreements
from vbench.models.plain_shapes import PlainShapes
from vbench.models.protocol import Detections, Detector, ModelError
from vbench.models.registry import create
from vbench.models.settings import ModelSettings, Precision
from vbench.models.shapes import BUNDLED
from vbench.video.scene import Scene, SceneSettings
from vbench.video.scenes.shapes import SHAPES

Pictures = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def plain() -> PlainShapes:
    return PlainShapes(BUNDLED)


def test_it_finds_what_was_rendered(plain: PlainShapes) -> None:
    names = tuple(SHAPES)
    found, truth = [], []
    for seed in range(900, 904):
        scene = Scene(SceneSettings(width=1280, height=720, seed=seed))
        for index in (0, 150):
            picture, boxes = scene.render(index)
            each = plain.detect(picture, 0.01)
            found.append(
                Detections(
                    classes=np.array([names.index(name) for name in each.names], np.int64),
                    scores=each.scores.astype(np.float32),
                    boxes=each.boxes.astype(np.float32),
                )
            )
            truth.append(boxes)
    assert mean_average_precision(found, truth, names).mean > 0.93


def test_bundled_weights_that_were_replaced_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(BUNDLED.read_bytes())
    assert PlainShapes.of("bundled", BUNDLED).detect(np.zeros((360, 640, 3), np.uint8), 0.3).names == []
    weights = load_file(BUNDLED)
    with safe_open(BUNDLED, framework="pt") as file:
        metadata = file.metadata()
    save_file({**weights, "predict.bias": weights["predict.bias"] + 1}, own, metadata=metadata)
    PlainShapes.of(str(own), BUNDLED)
    with pytest.raises(
        ModelError, match=r"own\.safetensors are not those of this version of vbench: install"
    ):
        PlainShapes.of("bundled", own)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_served_detector_agrees_in_every_precision(
    plain: PlainShapes, frames: Pictures, precision: Precision
) -> None:
    served = create(ModelSettings(precision=precision, batch_size=4))
    served.load()
    _agree(plain, served, frames[:6], precision)


@pytest.mark.parametrize(("width", "height"), [(960, 540), (322, 182), (180, 320)])
@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p"])
def test_the_served_detector_agrees_on_frames_of_another_size(
    plain: PlainShapes, detector: Detector, width: int, height: int, pixel_format: str
) -> None:
    scene = Scene(SceneSettings(width=width, height=height, seed=5))
    batch = np.stack([scene.frame(0), scene.frame(40)])
    if pixel_format == "yuv420p":
        # Any bytes do: the same are given to both.
        batch = batch[..., 0:1].reshape(2, height, width).repeat(3, 1)[:, : height * 3 // 2]
    _agree(plain, detector, batch, "fp32")


def _agree(plain: PlainShapes, served: Detector, batch: Pictures, precision: Precision) -> None:
    min_iou, max_difference = AGREES[precision]
    wrong = []
    for frame, found in zip(batch, served.detect(batch), strict=True):
        wrong += disagreements(
            plain.detect(frame, 0.3),
            LabelledBoxes.of(found, served.class_names),
            0.3,
            min_iou=min_iou,
            max_score_difference=max_difference,
        )
    assert wrong == []
