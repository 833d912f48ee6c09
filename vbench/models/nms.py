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
    overlap = _overlaps_earlier(boxes, candidate, iou_above)
    kept = candidate
    while True:
        again = _round(overlap, candidate, kept)
        if torch.equal(again, kept):
            return kept
        kept = again


def suppress_within(boxes: Tensor, candidate: Tensor, iou_above: float, rounds: int) -> tuple[Tensor, Tensor]:
    """``suppress`` that never waits for the device: a fixed number of rounds, whatever the boxes.

    Returns what it keeps, bool[N, K], and bool[N]: whether that is the answer for this frame.
    """
    overlap = _overlaps_earlier(boxes, candidate, iou_above)
    kept = candidate
    before = kept
    for _ in range(rounds):
        before, kept = kept, _round(overlap, candidate, kept)
    return kept, (kept == before).all(-1)


def _overlaps_earlier(boxes: Tensor, candidate: Tensor, iou_above: float) -> Tensor:
    """bool[N, K, K]: [n, k, j] says that candidate j comes before box k and overlaps it."""
    overlap = paired_iou(boxes[:, :, None], boxes[:, None]) > iou_above
    overlap &= candidate[:, None]
    return torch.tril(overlap, diagonal=-1)


def _round(overlap: Tensor, candidate: Tensor, kept: Tensor) -> Tensor:
    return candidate & ~(overlap & kept[:, None]).any(-1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
