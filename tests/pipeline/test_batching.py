"""Frames of several calls share forward passes, and each call gets its own results, all of them, in order."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.models.protocol import Detections, ForwardPass, InputSpec, ModelError
from vbench.pipeline.batching import Batched, Batcher, Pictures
from vbench.video.errors import StoppedError

DEADLINE_S = 20
BAD = 255
"""A mark at which the detector below fails."""


class Marks:
    """A detector that finds in each picture one object, of the class that the first byte says.

    It works while its gate is open, and keeps the batches that it was given. With more than one
    ``in_flight`` it does as one whose device works beside.
    """

    def __init__(self, error: Exception | None = None, in_flight: int = 1) -> None:
        self.in_flight = in_flight
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.waited_for = threading.Semaphore(0)
        self.batches: list[Pictures] = []
        self.most_begun = 0
        self._begun = 0
        self._error = error
        self._passes: list[ForwardPass] = []

    input = InputSpec(width=2, height=2, fit="stretch")
    class_names = tuple(map(str, range(256)))
    fingerprint = "marks"

    def load(self) -> None:
        if self._error:
            raise self._error

    def detect(self, batch: Pictures) -> list[Detections]:
        return self.submit(batch)()

    def submit(self, batch: Pictures) -> Callable[[], list[Detections]]:
        self.batches.append(batch)
        self._begun += 1
        self.most_begun = max(self.most_begun, self._begun)
        self.began.release()
        return lambda: self._marks(batch)

    def passes_seen(self) -> list[ForwardPass]:
        seen, self._passes = self._passes, []
        return seen

    def _marks(self, batch: Pictures) -> list[Detections]:
        self.waited_for.release()
        assert self.gate.wait(DEADLINE_S)
        self._begun -= 1
        self._passes.append(ForwardPass(number=len(self.batches), frames=len(batch), how={}, cpu_s=0.0))
        marks = batch[:, 0, 0, 0].tolist()
        if BAD in marks:
            raise RuntimeError("a picture of the batch cannot be worked on")
        return [
            Detections(
                classes=np.array([mark]), scores=np.ones(1, np.float32), boxes=np.zeros((1, 4), np.float32)
            )
            for mark in marks
        ]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def pictures(*marks: int, side: int = 2) -> Pictures:
    out = np.zeros((len(marks), side, side, 3), np.uint8)
    out[:, 0, 0, 0] = marks
    return out


def marks_in(result: "Future[Batched]") -> list[int]:
    return [int(each.classes[0]) for each in result.result(DEADLINE_S).detections]


@contextmanager
def running(detector: Marks, *, size: int = 4, wait_s: float = 0.0) -> Iterator[Batcher]:
    batcher = Batcher(detector, size=size, wait_s=wait_s)
    try:
        yield batcher
    finally:
        detector.gate.set()
        batcher.close()


@contextmanager
def busy(detector: Marks, *, size: int = 4) -> Iterator[Batcher]:
    """With a first call of one frame in the model, which goes on when the gate is opened."""
    with running(detector, size=size) as batcher:
        detector.gate.clear()
        batcher.submit([pictures(0)], threading.Event())
        # Not only begun: before it is waited for, the batcher looks for one to begin beside it.
        assert detector.waited_for.acquire(timeout=DEADLINE_S)
        yield batcher


@given(
    calls=st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=6),
    size=st.integers(1, 7),
    in_flight=st.integers(1, 3),
)
def test_every_call_gets_its_own_results_in_order_from_full_batches(
    calls: list[list[int]], size: int, in_flight: int
) -> None:
    detector = Marks(in_flight=in_flight)
    total = sum(map(sum, calls))
    cuts = np.cumsum([0, *(length for lengths in calls for length in lengths)]).tolist()
    arrays = [pictures(*range(a, b)) for a, b in pairwise(cuts)]
    with busy(detector, size=size) as batcher:
        results, at = [], 0
        for lengths in calls:
            results.append(batcher.submit(arrays[at : at + len(lengths)], threading.Event()))
            at += len(lengths)
        detector.gate.set()
        found = [marks_in(result) for result in results]

    assert [mark for marks in found for mark in marks] == list(range(total))
    assert [len(marks) for marks in found] == [sum(lengths) for lengths in calls]
    full, rest = divmod(total, size)
    assert detector.sizes == [1, *[size] * full, *[rest][: rest > 0]]


def test_calls_that_wait_share_a_batch_and_know_in_how_many_they_were() -> None:
    detector = Marks()
    with busy(detector) as batcher:
        results = [batcher.submit([pictures(n, n + 1)], threading.Event()) for n in (1, 3, 5)]
        other = batcher.submit([pictures(*range(7, 12))], threading.Event())
        detector.gate.set()

        assert [marks_in(result) for result in results] == [[1, 2], [3, 4], [5, 6]]
        assert other.result(DEADLINE_S).batches == 2
    assert detector.sizes == [1, 4, 4, 3]


def test_frames_wait_for_a_full_batch_and_no_longer() -> None:
    detector = Marks()
    with running(detector, wait_s=3600) as batcher:
        first = batcher.submit([pictures(1)], threading.Event())
        second = batcher.submit([pictures(2, 3, 4)], threading.Event())

        assert marks_in(first) + marks_in(second) == [1, 2, 3, 4]
    assert detector.sizes == [4]


def test_frames_wait_no_longer_than_they_may() -> None:
    detector = Marks()
    with running(detector, size=1000, wait_s=0.05) as batcher:
        assert marks_in(batcher.submit([pictures(9)], threading.Event())) == [9]


def test_pictures_of_another_shape_are_in_a_batch_of_their_own_and_nothing_waits_for_them() -> None:
    detector = Marks()
    with running(detector, wait_s=3600) as batcher:
        small = batcher.submit([pictures(1)], threading.Event())
        large = batcher.submit([pictures(2, 3, 4, 5, side=8)], threading.Event())

        assert marks_in(small) == [1]
        assert marks_in(large) == [2, 3, 4, 5]


def test_a_batch_from_one_array_is_a_view_of_it() -> None:
    detector, array = Marks(), pictures(*range(8))
    with running(detector) as batcher:
        marks_in(batcher.submit([array], threading.Event()))

    assert all(np.shares_memory(batch, array) for batch in detector.batches)


def test_a_device_beside_has_the_next_batch_before_the_last_is_waited_for_and_no_more() -> None:
    detector = Marks(in_flight=2)
    with running(detector) as batcher:
        detector.gate.clear()
        result = batcher.submit([pictures(*range(12))], threading.Event())
        for _ in range(2):
            assert detector.began.acquire(timeout=DEADLINE_S)
        detector.gate.set()

        assert marks_in(result) == list(range(12))
    assert detector.sizes == [4, 4, 4]
    assert detector.most_begun == 2


def test_a_call_that_fails_in_two_batches_fails_once() -> None:
    detector = Marks(in_flight=2)
    with running(detector, size=1) as batcher:
        result = batcher.submit([pictures(BAD, BAD)], threading.Event())
        with pytest.raises(RuntimeError, match="cannot be worked on"):
            result.result(DEADLINE_S)

        assert marks_in(batcher.submit([pictures(7)], threading.Event())) == [7]


def test_what_waits_of_a_stopped_call_is_dropped() -> None:
    detector, stop = Marks(), threading.Event()
    with busy(detector) as batcher:
        before = batcher.submit([pictures(4, 5)], threading.Event())
        dropped = batcher.submit([pictures(1, 2)], stop)
        kept = batcher.submit([pictures(3)], threading.Event())
        stop.set()
        detector.gate.set()

        with pytest.raises(StoppedError, match="cancelled"):
            dropped.result(DEADLINE_S)
        assert marks_in(before) + marks_in(kept) == [4, 5, 3]
    assert detector.sizes == [1, 3]


@pytest.mark.parametrize("in_flight", [1, 2])
def test_an_error_of_the_model_goes_to_every_call_in_the_batch_and_no_other(in_flight: int) -> None:
    detector = Marks(in_flight=in_flight)
    with busy(detector, size=3) as batcher:
        beside = batcher.submit([pictures(1)], threading.Event())
        long = batcher.submit([pictures(2, BAD, 3, 4, 5)], threading.Event())
        after = batcher.submit([pictures(6)], threading.Event())
        detector.gate.set()

        for result in (beside, long):
            with pytest.raises(RuntimeError, match="cannot be worked on"):
                result.result(DEADLINE_S)
        assert marks_in(after) == [6]


def test_a_model_that_cannot_load_is_told_at_once() -> None:
    with pytest.raises(ModelError, match="no weights"):
        Batcher(Marks(ModelError("no weights")), size=1, wait_s=0)


def test_closing_ends_after_what_was_submitted() -> None:
    detector = Marks()
    batcher = Batcher(detector, size=8, wait_s=3600)
    waiting = batcher.submit([pictures(1)], threading.Event())

    batcher.close()

    assert marks_in(waiting) == [1]
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit([pictures(1)], threading.Event())


@pytest.mark.parametrize("in_flight", [1, 2])
def test_a_call_has_the_passes_over_all_batches_with_its_frames(in_flight: int) -> None:
    detector = Marks(in_flight=in_flight)
    with busy(detector) as batcher:
        first = batcher.submit([pictures(1, 2, 3)], threading.Event())
        second = batcher.submit([pictures(4, 5, 6)], threading.Event())
        detector.gate.set()
        of_first, of_second = (each.result(DEADLINE_S).passes for each in (first, second))

    assert [one.frames for one in of_first] == [4]
    assert [one.frames for one in of_second] == [4, 2]
    assert of_first[0] is of_second[0]


def test_passes_over_a_batch_that_failed_are_not_those_of_the_next() -> None:
    detector = Marks()
    with running(detector) as batcher:
        bad = batcher.submit([pictures(BAD)], threading.Event())
        with pytest.raises(RuntimeError):
            bad.result(DEADLINE_S)
        good = batcher.submit([pictures(1)], threading.Event())
        assert len(good.result(DEADLINE_S).passes) == 1
