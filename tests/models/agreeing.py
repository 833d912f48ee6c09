"""What tests of detectors share: whether two found the same, and whether there is a GPU."""

import numpy as np
import pytest
import torch

from vbench.models.average_precision import pairwise_iou
from vbench.models.protocol import Detections

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="this machine has no GPU that torch can use"
)


def agree(first: Detections, second: Detections) -> None:
    """Check that both hold the same objects: class, IoU >= 0.99, score within 0.01; in any order."""
    assert len(first.classes) == len(second.classes)
    if len(first.classes):
        iou = pairwise_iou(first.boxes, second.boxes)
        match = iou.argmax(1)
        assert sorted(match) == list(range(len(match)))
        assert iou.max(1).min() >= 0.99
        assert np.array_equal(first.classes, second.classes[match])
        assert np.abs(first.scores - second.scores[match]).max() <= 0.01
