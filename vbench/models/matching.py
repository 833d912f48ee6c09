"""Whether two passes over the same frame found the same objects, up to what batching does to floats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vbench.models.average_precision import pairwise_iou
from vbench.models.protocol import Detections

MIN_IOU = 0.99
MAX_SCORE_DIFFERENCE = 0.01

NOT_FOUND = "not found"
"""How the phrase for an object begins that only the first pass has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBoxes:
    """Named objects in one frame."""

    names: Sequence[str]
    """D class names."""
    scores: npt.NDArray[np.float64]
    """float64[D]."""
    boxes: npt.NDArray[np.float64]
    """float64[D, 4]: x1, y1, x2, y2 in pixels."""

    @classmethod
    def of(cls, detections: Detections, class_names: Sequence[str], scale: float = 1.0) -> "LabelledBoxes":
        """What a detector with these classes found, its boxes times ``scale``."""
        return cls(
            names=[class_names[index] for index in detections.classes],
            scores=detections.scores.astype(np.float64),
            boxes=detections.boxes.astype(np.float64) * scale,
        )


def disagreements(
    expected: LabelledBoxes,
    got: LabelledBoxes,
    threshold: float,
    *,
    min_iou: float = MIN_IOU,
    max_score_difference: float = MAX_SCORE_DIFFERENCE,
) -> list[str]:
    """What differs, a phrase each; empty where the two agree.

    Each object must have a partner of its class with IoU of at least ``min_iou`` and a score within
    ``max_score_difference``. One whose score lies that near ``threshold`` may have none: the other pass can
    have dropped it.
    """
    iou = pairwise_iou(expected.boxes, got.boxes)
    same = np.array([[a == b for b in got.names] for a in expected.names], bool).reshape(iou.shape)
    near = np.abs(expected.scores[:, None] - got.scores[None, :]) <= max_score_difference
    fits = np.where(same & near & (iou >= min_iou), iou, 0.0)
    missing = set(range(len(expected.names)))
    surplus = set(range(len(got.names)))
    for flat in np.argsort(-fits, axis=None):
        row, column = divmod(int(flat), max(1, fits.shape[1]))
        if fits[row, column] == 0:
            break
        if row in missing and column in surplus:
            missing.discard(row)
            surplus.discard(column)
    edge = threshold + max_score_difference
    return [
        *(f"{NOT_FOUND}: {_name(expected, i)}" for i in sorted(missing) if expected.scores[i] >= edge),
        *(f"not expected: {_name(got, i)}" for i in sorted(surplus) if got.scores[i] >= edge),
    ]


def _name(boxes: LabelledBoxes, index: int) -> str:
    box = ", ".join(f"{value:.1f}" for value in boxes.boxes[index])
    return f"{boxes.names[index]} ({boxes.scores[index]:.3f}) at [{box}]"
