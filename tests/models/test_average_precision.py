"""Average precision: worked examples, and what must hold for any detections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.models.average_precision import area_under_curve, mean_average_precision, pairwise_iou
from vbench.models.protocol import Detections
from vbench.video.types import TruthBox

NAMES = ("ring", "star")


def truth(name: str, x: float, visible: float = 1.0) -> TruthBox:
    return TruthBox(class_name=name, box=(x, 0.0, x + 10, 10.0), visible=visible)


def found(*each: tuple[int, float, float]) -> Detections:
    """Detections (class, score, x) of 10 x 10 px, best first as the protocol has them."""
    ranked = sorted(each, key=lambda item: -item[1])
    return Detections(
        classes=np.array([c for c, _, _ in ranked], np.int64),
        scores=np.array([s for _, s, _ in ranked], np.float32),
        boxes=np.array([(x, 0, x + 10, 10) for _, _, x in ranked], np.float32).reshape(-1, 4),
    )


def test_all_found_and_nothing_else_is_one() -> None:
    frames = [[truth("ring", 0), truth("star", 30)], [truth("ring", 5)]]
    result = mean_average_precision([found((0, 0.9, 0), (1, 0.4, 31)), found((0, 0.3, 5))], frames, NAMES)
    assert result.by_class == {"ring": 1.0, "star": 1.0}
    assert (result.mean, result.wanted) == (1.0, 3)


def test_worked_example_over_two_frames() -> None:
    # Ranked: hit, false, hit, of 3 wanted: recall 1/3 at precision 1, recall 2/3 at precision 2/3.
    frames = [[truth("ring", 0), truth("ring", 50)], [truth("ring", 0)]]
    result = mean_average_precision([found((0, 0.9, 0), (0, 0.8, 100)), found((0, 0.7, 0))], frames, NAMES)
    assert result.by_class["ring"] == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    assert "star" not in result.by_class


def test_second_detection_of_one_object_is_false() -> None:
    frames = [[truth("ring", 0), truth("ring", 100)]]
    result = mean_average_precision([found((0, 0.9, 0), (0, 0.8, 0.5), (0, 0.7, 100))], frames, NAMES)
    assert result.mean == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_overlapping_objects_of_a_class_each_take_a_detection() -> None:
    # The better detection overlaps both; it takes the nearer one and leaves the other free.
    frames = [[truth("ring", 0), truth("ring", 3)]]
    result = mean_average_precision([found((0, 0.9, 2), (0, 0.8, 1))], frames, NAMES)
    assert result.mean == 1.0


def test_wrong_class_and_wrong_place_are_false() -> None:
    frames = [[truth("ring", 0)]]
    assert mean_average_precision([found((1, 0.9, 0), (0, 0.8, 6))], frames, NAMES).mean == 0.0


def test_hidden_objects_are_neither_wanted_nor_false() -> None:
    frames = [[truth("ring", 0), truth("ring", 50, visible=0.2)]]
    with_it = mean_average_precision([found((0, 0.9, 50), (0, 0.8, 0))], frames, NAMES)
    without = mean_average_precision([found((0, 0.8, 0))], frames, NAMES)
    assert with_it == without
    assert (with_it.mean, with_it.wanted) == (1.0, 1)


def test_hidden_object_excuses_its_own_class_alone() -> None:
    frames = [[truth("ring", 0), truth("star", 50, visible=0.2)]]
    assert mean_average_precision([found((0, 0.9, 50), (0, 0.8, 0))], frames, NAMES).mean == 0.5


def test_no_detection_at_all_is_zero() -> None:
    assert mean_average_precision([found()], [[truth("ring", 0)]], NAMES).mean == 0.0


def test_no_object_at_all_has_no_precision() -> None:
    result = mean_average_precision([found((0, 0.9, 0))], [[]], NAMES)
    with pytest.raises(ValueError, match="not defined"):
        _ = result.mean


def test_frames_must_correspond() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        mean_average_precision([found()], [[truth("ring", 0)], []], NAMES)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_area_lies_between_none_and_the_recall_reached(right: list[bool], missed: int) -> None:
    wanted = sum(right) + missed
    if wanted == 0:
        return
    area = area_under_curve(np.array(right, bool), wanted)
    recall = sum(right) / wanted
    assert 0 <= area <= recall + 1e-12
    assert area >= recall * (sum(right) / max(1, len(right))) - 1e-12


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_area_is_the_integral_of_the_interpolated_curve(right: list[bool]) -> None:
    """Against the definition: at each recall reached, the best precision at that recall or a higher one."""
    wanted = max(1, sum(right))
    precision = [sum(right[: k + 1]) / (k + 1) for k in range(len(right))]
    area = sum(max(precision[k:]) / wanted for k in range(len(right)) if right[k])
    assert area_under_curve(np.array(right), wanted) == pytest.approx(area)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 1), st.integers(0, 60)), max_size=12))
def test_a_lower_scored_false_find_never_helps(each: list[tuple[int, float, int]]) -> None:
    frames = [[truth("ring", 0), truth("ring", 20), truth("star", 40)]]
    before = mean_average_precision([found(*each)], frames, NAMES).mean
    after = mean_average_precision([found(*each, (0, 0.001, 500))], frames, NAMES).mean
    assert after == pytest.approx(before)


def test_iou_of_known_boxes() -> None:
    first = np.array([[0, 0, 10, 10], [5, 5, 5, 5]], float)
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], float)
    assert pairwise_iou(first, second) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))
