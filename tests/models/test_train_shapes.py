"""Training: the script runs and its weights load; the loss falls where it should, and seeds do not meet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vbench.models import train_shapes
from vbench.models.evaluate import unseen_settings
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.models.shapes_net import COLUMNS, HEIGHT, ROWS, STRIDE, WIDTH, ShapesNet, cell_centres, decode
from vbench.models.train_data import CLASS_NAMES, Sample, decode_scene, draw_settings
from vbench.models.train_loss import assign, complete_iou, detection_loss
from vbench.video.scene import SceneSettings


def test_script_trains_two_steps_and_writes_weights_that_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "w.safetensors"
    tiny = ["--scenes", "2", "--frames", "2", "--batch", "2", "--epochs", "1", "--threads", "1"]
    train_shapes.main([*tiny, "--out", str(out)])
    said = capsys.readouterr().out
    assert "step 2/2" in said
    assert f"wrote {out}" in said
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    detector = create(ModelSettings(weights=str(out)))
    detector.load()
    assert detector.class_names == CLASS_NAMES
    assert len(detector.detect(np.zeros((3, 360, 640, 3), np.uint8))) == 3


def perfect_predictions(classes: list[int], boxes: torch.Tensor) -> torch.Tensor:
    """Predictions [1, classes + 4, 45, 80] in which the cell at a box's middle is sure of it."""
    flat = torch.full((ROWS * COLUMNS, len(CLASS_NAMES) + 4), -12.0)
    centres = cell_centres(torch.device("cpu"))
    for index, box in zip(classes, boxes, strict=True):
        cell = (centres - (box[:2] + box[2:]) / 2).norm(dim=-1).argmin()
        distances = torch.cat((centres[cell] - box[:2], box[2:] - centres[cell]))
        flat[cell, len(CLASS_NAMES) :] = (distances / STRIDE).log()
        flat[cell, index] = 12.0
    return flat.T.reshape(1, -1, ROWS, COLUMNS)


def test_loss_is_small_for_right_answers_and_large_for_wrong_ones() -> None:
    boxes = torch.tensor([[100.0, 100, 117, 117], [300, 50, 420, 170]])
    truth = (torch.tensor([[2, 5]]), boxes[None], torch.ones(1, 2))
    right = sum(float(loss) for loss in detection_loss(perfect_predictions([2, 5], boxes), *truth))
    wrong_class = sum(float(loss) for loss in detection_loss(perfect_predictions([2, 4], boxes), *truth))
    wrong_place = sum(float(loss) for loss in detection_loss(perfect_predictions([2, 5], boxes + 40), *truth))
    assert right < 0.5
    assert wrong_class > 2
    assert wrong_place > 2


def test_hidden_objects_and_padding_teach_nothing() -> None:
    boxes = torch.tensor([[[100.0, 100, 160, 160], [300, 50, 420, 170]]])
    predictions = torch.randn(1, len(CLASS_NAMES) + 4, ROWS, COLUMNS, generator=torch.manual_seed(0))
    one = detection_loss(predictions, torch.tensor([[2]]), boxes[:, :1], torch.ones(1, 1))
    padded = detection_loss(predictions, torch.tensor([[2, 0]]), boxes, torch.tensor([[1.0, 0.0]]))
    hidden = detection_loss(predictions, torch.tensor([[2, 0]]), boxes, torch.tensor([[1.0, 0.1]]))
    assert torch.equal(torch.stack(one), torch.stack(padded))
    assert hidden[0] < one[0]
    assert hidden[1] == one[1]


def test_frames_without_objects_have_a_loss() -> None:
    predictions = torch.zeros(2, len(CLASS_NAMES) + 4, ROWS, COLUMNS, requires_grad=True)
    nothing = (torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 1, 4), torch.zeros(2, 1))
    class_loss, box_loss = detection_loss(predictions, *nothing)
    torch.autograd.backward(class_loss + box_loss)
    assert class_loss > 0
    assert box_loss == 0


def test_every_object_gets_a_cell_even_the_smallest() -> None:
    boxes = torch.tensor(
        [[[100.0, 100, 103, 103], [200, 200, 216, 216], [10, 10, 250, 250], [636, 356, 640, 360]]]
    )
    logits, found = decode(torch.zeros(1, len(CLASS_NAMES) + 4, ROWS, COLUMNS), len(CLASS_NAMES))
    learn = torch.ones(1, 4, dtype=torch.bool)
    owner, quality = assign(logits.sigmoid(), found, torch.tensor([[0, 1, 2, 3]]), boxes, learn)
    assert set(owner[quality > 0].tolist()) == {0, 1, 2, 3}
    assert quality.max() <= 1


def test_complete_iou_of_known_boxes() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]])
    assert complete_iou(box, box).item() == pytest.approx(1)
    # Apart by (20, 0), enclosing box 30 x 10: -20^2 / (30^2 + 10^2).
    assert complete_iou(box, box + torch.tensor([20.0, 0, 20, 0])).item() == pytest.approx(-0.4)


def test_folded_network_answers_as_before() -> None:
    torch.manual_seed(0)
    net = ShapesNet(3)
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(2, 3, HEIGHT, WIDTH))
        net.eval()
        picture = torch.rand(1, 3, HEIGHT, WIDTH)
        before = net(picture)
        assert torch.allclose(net.fuse_batch_norm()(picture), before, atol=1e-4)


def test_mirrored_frames_keep_their_boxes_on_the_objects() -> None:
    pixels = np.zeros((360, 640, 3), np.uint8)
    pixels[50:90, 100:180] = 255
    sample = Sample(
        pixels=pixels,
        classes=np.array([1]),
        boxes=np.array([[100, 50, 180, 90]], np.float32),
        visible=np.ones(1, np.float32),
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        varied, _, boxes, _ = train_shapes.vary(*train_shapes.collate([sample]), rng)
        bright = varied[0].mean(0) > 160
        rows, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
        seen = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert torch.allclose(boxes[0, 0], seen.float(), atol=1.5)


def test_scenes_trained_on_are_never_those_evaluated_on() -> None:
    trained = {draw_settings(i, 8).seed for i in range(2000)}
    assert trained.isdisjoint(unseen_settings(1280, 720, i).seed for i in range(2000))


def test_sampling_must_step_through_whole_frames() -> None:
    settings = SceneSettings(width=320, height=180, fps="10", length_s=1, unique_s=1)
    with pytest.raises(ValueError, match="3 frames a second are no whole step through a scene of 10"):
        decode_scene(settings, replace(settings, fps="3").rate)
