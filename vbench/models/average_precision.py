"""How good detections are: average precision against ground truth, with numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vbench.models.protocol import Detections
from vbench.video.types import TruthBox

IGNORE_BELOW = 0.4
"""Objects less visible than this are ignored: neither required, nor wrong if detected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Average precision over a set of frames."""

    by_class: dict[str, float]
    """Average precision, 0 to 1, of each class that the truth holds."""
    wanted: int
    """Objects to be found, over all classes."""

    @property
    def mean(self) -> float:
        """Mean over the classes (mAP); ValueError where the truth holds no object."""
        if not self.by_class:
            raise ValueError("no object to be found in these frames: average precision is not defined")
        return float(np.mean(list(self.by_class.values())))


def mean_average_precision(
    detected: Sequence[Detections],
    truth: Sequence[Sequence[TruthBox]],
    class_names: Sequence[str],
    min_iou: float = 0.5,
) -> Precision:
    """Average precision by class, as in PASCAL VOC 2010 and later (all-point interpolation).

    ``detected`` and ``truth`` hold one entry a frame, boxes in the same pixels. Detections of a class are
    taken best score first, over all frames. Each takes the free object of its class and frame that it
    overlaps most, if by ``min_iou`` or more. One that finds none counts false, unless it overlaps an object
    of its class that is to be ignored by as much. Objects with ``visible`` below ``IGNORE_BELOW`` are
    ignored.
    """
    by_class = {}
    wanted = 0
    for index, name in enumerate(class_names):
        of_class = [[box for box in frame if box.class_name == name] for frame in truth]
        count = sum(box.visible >= IGNORE_BELOW for frame in of_class for box in frame)
        if count:
            wanted += count
            by_class[name] = area_under_curve(_judge(detected, of_class, index, min_iou), count)
    return Precision(by_class=by_class, wanted=wanted)


def area_under_curve(right: npt.NDArray[np.bool_], wanted: int) -> float:
    """Area under the precision-recall curve, precision made non-increasing in recall (VOC 2010).

    ``right`` bool[D]: whether each detection, best score first, found something; ``wanted`` > 0 objects.
    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / wanted)


def pairwise_iou(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Intersection over union of boxes [A, 4] with boxes [B, 4] (x1, y1, x2, y2): [A, B], 0 to 1."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    iou: npt.NDArray[np.floating] = shared / np.maximum(union, 1e-9)
    return iou


def _judge(
    detected: Sequence[Detections], truth: list[list[TruthBox]], class_index: int, min_iou: float
) -> npt.NDArray[np.bool_]:
    """Judge one class's detections, best score first: bool[D], true for a find; ignored ones are left out."""
    scores, verdicts = [], []
    for frame, objects in zip(detected, truth, strict=True):
        own = frame.classes == class_index
        boxes = np.array([box.box for box in objects], np.float64).reshape(-1, 4)
        ignored = np.array([box.visible < IGNORE_BELOW for box in objects], bool)
        free = ~ignored
        overlaps = pairwise_iou(frame.boxes[own].astype(np.float64), boxes)
        order = np.argsort(-frame.scores[own], kind="stable")
        for score, overlap in zip(frame.scores[own][order], overlaps[order], strict=True):
            reachable = np.where(free, overlap, -1)
            if reachable.max(initial=-1) >= min_iou:
                free[reachable.argmax()] = False
                verdicts.append(True)
            elif (overlap[ignored] >= min_iou).any():
                continue
            else:
                verdicts.append(False)
            scores.append(score)
    return np.array(verdicts, bool)[np.argsort(-np.array(scores), kind="stable")]
