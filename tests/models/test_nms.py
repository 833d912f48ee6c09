"""Non-maximum suppression against a plain loop, and intersection over union."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from vbench.models.nms import paired_iou, suppress, suppress_within

corner = st.integers(0, 12)
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, st.integers(0, 9), st.integers(0, 9))


def greedy(boxes: torch.Tensor, candidate: torch.Tensor, iou_above: float) -> list[bool]:
    """The textbook loop: keep the best, drop what it overlaps, go on. Compared in float32, as boxes are."""
    kept: list[bool] = []
    for k in range(len(boxes)):
        before = [j for j in range(k) if kept[j]]
        clash = any(bool(paired_iou(boxes[j], boxes[k]) > iou_above) for j in before)
        kept.append(bool(candidate[k]) and not clash)
    return kept


@given(
    boxes=st.lists(st.tuples(box, st.booleans()), min_size=1, max_size=25),
    iou_above=st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.99]),
)
@example(boxes=[((0, 0, 3, 4), True), ((0, 1, 3, 5), True)], iou_above=0.6)  # 0.6 itself is not above it
def test_suppression_keeps_what_the_greedy_loop_keeps(
    boxes: list[tuple[tuple[int, int, int, int], bool]], iou_above: float
) -> None:
    rows = torch.tensor([b for b, _ in boxes], dtype=torch.float32)
    candidate = torch.tensor([c for _, c in boxes])
    kept = suppress(rows[None], candidate[None], iou_above)[0]
    assert kept.tolist() == greedy(rows, candidate, iou_above)


@given(st.lists(st.lists(box, min_size=6, max_size=6), min_size=1, max_size=4))
def test_frames_of_a_batch_do_not_touch_each_other(frames: list[list[tuple[int, int, int, int]]]) -> None:
    boxes = torch.tensor(frames, dtype=torch.float32)
    candidate = torch.ones(boxes.shape[:2], dtype=torch.bool)
    together = suppress(boxes, candidate, 0.5)
    alone = [suppress(boxes[i : i + 1], candidate[i : i + 1], 0.5) for i in range(len(boxes))]
    assert torch.equal(together, torch.cat(alone))


def test_a_chain_keeps_every_second_box() -> None:
    # Each box overlaps the next by IoU 1/3: the longest way to the fixed point.
    boxes = torch.tensor([[5.0 * k, 0, 5.0 * k + 10, 10] for k in range(20)])
    kept = suppress(boxes[None], torch.ones(1, 20, dtype=torch.bool), 0.3)
    assert kept[0].tolist() == [k % 2 == 0 for k in range(20)]


def test_no_boxes_are_no_boxes() -> None:
    assert suppress(torch.empty(3, 0, 4), torch.empty(3, 0, dtype=torch.bool), 0.5).shape == (3, 0)


def test_iou_of_known_boxes() -> None:
    first = torch.tensor([[0.0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [3, 3, 3, 3]])
    assert paired_iou(first, second).tolist() == pytest.approx([1, 1 / 3, 0, 0])


@given(
    boxes=st.lists(st.tuples(box, st.booleans()), min_size=1, max_size=25),
    iou_above=st.sampled_from([0.0, 0.3, 0.6]),
    rounds=st.integers(1, 30),
)
def test_rounds_that_were_enough_are_known_to_be(
    boxes: list[tuple[tuple[int, int, int, int], bool]], iou_above: float, rounds: int
) -> None:
    rows = torch.tensor([b for b, _ in boxes], dtype=torch.float32)[None]
    candidate = torch.tensor([c for _, c in boxes])[None]
    kept, settled = suppress_within(rows, candidate, iou_above, rounds)
    if rounds > len(boxes):
        assert settled.all()
    if settled.all():
        assert torch.equal(kept, suppress(rows, candidate, iou_above))


def test_a_chain_longer_than_the_rounds_is_not_called_settled() -> None:
    boxes = torch.tensor([[5.0 * k, 0, 5.0 * k + 10, 10] for k in range(20)])
    _, settled = suppress_within(boxes[None], torch.ones(1, 20, dtype=torch.bool), 0.3, 8)
    assert settled.tolist() == [False]
