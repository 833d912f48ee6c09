"""What ``shapes`` learns from: which cells answer for which object, and the loss of their answers."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by
from torch import Tensor

from vbench.models.nms import paired_iou
from vbench.models.shapes_net import STRIDE, cell_centres, decode

CELLS_AN_OBJECT = 9
SCORE_POWER, IOU_POWER = 0.5, 6.0
"""Of the alignment s^a * u^b that ranks cells: TOOD (Feng et al., ICCV 2021), section 3.2."""
BOX_WEIGHT = 2.5
"""Weight of the box loss relative to the class loss."""
LEARN_ABOVE = 0.3
"""Objects less visible than this are neither learnt nor taken for background."""


def detection_loss(
    predictions: Tensor, classes: Tensor, boxes: Tensor, visible: Tensor
) -> tuple[Tensor, Tensor]:
    """Class loss and box loss, both scalars, of one batch.

    ``predictions`` float[N, classes + 4, 45, 80]; truth padded to M objects a frame: ``classes`` int64[N, M],
    ``boxes`` float[N, M, 4] in px, ``visible`` float[N, M], where 0 marks padding.
    """
    count = predictions.shape[1] - 4
    logits, predicted = decode(predictions.float(), count)
    learn = visible >= LEARN_ABOVE
    with torch.no_grad():
        owner, quality = assign(logits.sigmoid(), predicted, classes, boxes, learn)
        positive = quality > 0
        target = torch.zeros_like(logits)
        target.scatter_(2, classes.gather(1, owner)[..., None], quality[..., None])
        unsure = _inside(boxes, ((visible > 0) & ~learn)).any(1) & ~positive
    every = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    total = quality.sum().clamp(min=1)
    class_loss = (every * ~unsure[..., None]).sum() / total
    wanted = boxes.gather(1, owner[..., None].expand(-1, -1, 4))[positive]
    box_loss = ((1 - complete_iou(predicted[positive], wanted)) * quality[positive]).sum() / total
    return class_loss, BOX_WEIGHT * box_loss


def assign(
    scores: Tensor, predicted: Tensor, classes: Tensor, boxes: Tensor, learn: Tensor
) -> tuple[Tensor, Tensor]:
    """Task-aligned assignment (TOOD, section 3.2): the cells best at an object answer for it.

    ``scores`` [N, A, classes], ``predicted`` [N, A, 4]; truth as in ``detection_loss``, ``learn`` bool[N, M].
    Returns for each cell the index of its object, int64[N, A], and the score it should give, [N, A]: the
    IoU of the object's best cell, scaled by how well this cell is aligned; 0 for background.
    """
    cells = min(CELLS_AN_OBJECT, scores.shape[1])
    # Never less than a cell wide, so that each object has one.
    inside = _inside(_at_least(boxes, 1.25 * STRIDE), learn)
    own_score = scores.transpose(1, 2).gather(1, classes[..., None].expand(-1, -1, scores.shape[1]))
    iou = paired_iou(boxes[:, :, None], predicted[:, None])
    # A little of each, so that cells are ranked before the first boxes are right.
    alignment = (own_score.clamp(min=1e-4) ** SCORE_POWER * (iou + 1e-3) ** IOU_POWER) * inside
    best = torch.zeros_like(inside)
    best.scatter_(2, alignment.topk(cells, dim=2).indices, value=True)
    best &= inside
    # A cell wanted by several goes to the smallest, as in FCOS (section 3.1): the others have more cells.
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    owner = torch.where(best, area[..., None], torch.inf).argmin(1)
    best &= owner[:, None] == torch.arange(boxes.shape[1], device=boxes.device)[None, :, None]
    alignment = alignment * best
    peak_iou = (iou * best).amax(2, keepdim=True).clamp(min=0.1)
    quality = alignment / alignment.amax(2, keepdim=True).clamp(min=1e-30) * peak_iou
    return owner, quality.amax(1)


def complete_iou(predicted: Tensor, wanted: Tensor) -> Tensor:
    """CIoU (Zheng et al., AAAI 2020, equations 7 to 11) of boxes [P, 4] with boxes [P, 4]: [P], -1.5 to 1."""
    iou = paired_iou(predicted, wanted)
    around = torch.maximum(predicted[:, 2:], wanted[:, 2:]) - torch.minimum(predicted[:, :2], wanted[:, :2])
    apart = (predicted[:, :2] + predicted[:, 2:] - wanted[:, :2] - wanted[:, 2:]) / 2
    distance = apart.square().sum(-1) / around.square().sum(-1).clamp(min=1e-6)
    sides, wanted_sides = predicted[:, 2:] - predicted[:, :2], wanted[:, 2:] - wanted[:, :2]
    slant = torch.atan2(wanted_sides[:, 0], wanted_sides[:, 1]) - torch.atan2(sides[:, 0], sides[:, 1])
    aspect = 4 / math.pi**2 * slant.square()
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect).clamp(min=1e-6)
    return iou - distance - weight * aspect


def _inside(boxes: Tensor, valid: Tensor) -> Tensor:
    """Whether each cell's centre lies in each valid box: [N, M, 4], bool[N, M] -> bool[N, M, A]."""
    centres = cell_centres(boxes.device)
    after = (centres > boxes[:, :, None, :2]).all(-1)
    before = (centres < boxes[:, :, None, 2:]).all(-1)
    return after & before & valid[..., None]


def _at_least(boxes: Tensor, side: float) -> Tensor:
    """Widen boxes about their middle until no side is shorter than ``side``."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = ((boxes[..., 2:] - boxes[..., :2]) / 2).clamp(min=side / 2)
    return torch.cat((middle - half, middle + half), -1)
