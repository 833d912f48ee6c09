"""Box arithmetic in torch: intersection over union and non-maximum suppression, many frames at once.

A box is (x1, y1, x2, y2), with x2 >= x1 and y2 >= y1.
"""

import torch
from torch import Tensor

EPSILON = 1e-7


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes [..., 4] that broadcast against each other: [...], 0 to 1."""
    top_left = torch.maximum(first[..., :2], second[..., :2])
    bottom_right = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (bottom_right - top_left).clamp_(min=0).prod(-1)
    union = _area(first) + _area(second) - shared
    return shared / union.clamp(min=EPSILON)


def suppress(boxes: Tensor, candidate: Tensor, iou_above: float) -> Tensor:
    """Greedy non-maximum suppression of each frame's boxes.

    ``boxes`` float[N, K, 4], best score first; ``candidate`` bool[N, K], false where a row holds no box.
    Returns bool[N, K]: boxes that no kept box before them overlaps by more than ``iou_above``.

    The greedy answer is the one fixed point of "kept if no kept box before me overlaps me": box k is right
    after at most k + 1 rounds, and in practice all are after 3 or 4, so that a few matrix products do what
    a loop over K boxes would.
    """
    overlap = paired_iou(boxes[:, :, None], boxes[:, None]) > iou_above
    overlap &= candidate[:, None]
    # overlap[n, k, j]: an earlier box j would suppress box k
    overlap = torch.tril(overlap, diagonal=-1)
    kept = candidate
    while True:
        again = candidate & ~(overlap & kept[:, None]).any(-1)
        if torch.equal(again, kept):
            return kept
        kept = again


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
