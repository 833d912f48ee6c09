"""Batches the frames of several calls, and returns to each call its own results, in order."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from vbench.models.protocol import Detections, Detector, ForwardPass
from vbench.video.errors import StoppedError

Pictures = npt.NDArray[np.uint8]
"""uint8[K, H, W, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batched:
    """The detections in the frames of one call."""

    detections: list[Detections]
    """One a frame, in the order in which the frames were given."""
    start_s: float
    """Unix seconds at which the first batch with one of these frames was given to the model; on a device that
    works beside, one before it may have been in work then."""
    batches: int
    """Batches that these frames were in, together with frames of other calls."""
    passes: list[ForwardPass] = field(default_factory=list)
    """The forward passes over these batches, as the network saw them."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """Frames that wait for the model, or are in it."""

    arrays: deque[Pictures]
    frames: int
    due_s: float
    """Monotonic seconds at which they wait no longer for a fuller batch."""
    stop: threading.Event
    result: Future[Batched]
    detections: list[Detections] = field(default_factory=list)
    passes: list[ForwardPass] = field(default_factory=list)
    start_s: float | None = None
    batches: int = 0

    @property
    def waiting(self) -> int:
        """Frames that no batch has taken yet."""
        return sum(len(array) for array in self.arrays)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture; frames of one batch have the same."""
        return self.arrays[0].shape[1:]

    def take(self, most: int) -> list[Pictures]:
        """The next frames, ``most`` at most, as views."""
        if self.start_s is None:
            self.start_s = time.time()
        self.batches += 1
        taken = []
        while most and self.arrays:
            array = self.arrays.popleft()
            taken.append(array[:most])
            if len(array) > most:
                self.arrays.appendleft(array[most:])
            most -= len(taken[-1])
        return taken


@dataclass(frozen=True, slots=True)
class _Part:
    """The frames of one call in a batch."""

    call: _Call
    arrays: list[Pictures]

    @property
    def frames(self) -> int:
        return sum(map(len, self.arrays))


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A batch that was submitted to the model."""

    parts: list[_Part]
    wait: Callable[[], list[Detections]]
    passes: list[ForwardPass]
    """Passes that were complete when it was submitted."""


class Batcher:
    """Owns a detector, on a thread of its own, and calls it with batches of ``size`` frames at most.

    First come, first served: a batch takes the oldest frames that wait, across calls, as long as the pictures
    are of one shape. The model never waits where ``size`` frames are there, and else for ``wait_s`` at most
    from when the oldest came: 0 takes what is there. A detector on another device gets the next
    batch before the last is waited for, if its frames are there by then.
    """

    def __init__(self, detector: Detector, *, size: int, wait_s: float) -> None:
        """Load the detector; what it raises is raised here."""
        self._detector = detector
        self._size = size
        self._wait_s = wait_s
        self._calls: deque[_Call] = deque()
        self._in_flight: deque[_InFlight] = deque()
        self._changed = threading.Condition()
        self._closed = False
        loaded: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(loaded,), name="model", daemon=True)
        self._thread.start()
        loaded.result()

    @property
    def size(self) -> int:
        """Frames in a batch at most."""
        return self._size

    @property
    def wait_ms(self) -> float:
        """Milliseconds for which frames wait for a fuller batch at most."""
        return self._wait_s * 1000

    def submit(self, arrays: Sequence[Pictures], stop: threading.Event) -> "Future[Batched]":
        """The future result for the frames of these arrays; they must not change until it is there.

        When ``stop`` is set, frames that wait are dropped and the result is StoppedError; a batch that runs
        is not interrupted. What the detector raises for a batch is the result of every call in it.
        """
        result: Future[Batched] = Future()
        result.set_running_or_notify_cancel()  # it cannot be cancelled: ``stop`` is for that
        call = _Call(
            arrays=deque(array for array in arrays if len(array)),
            frames=sum(map(len, arrays)),
            due_s=time.monotonic() + self._wait_s,
            stop=stop,
            result=result,
        )
        if not call.frames:
            result.set_result(Batched(detections=[], start_s=time.time(), batches=0))
            return result
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._calls.append(call)
            self._changed.notify()
        return result

    def close(self) -> None:
        """Work on what was submitted, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self, loaded: "Future[None]") -> None:
        try:
            self._detector.load()
        except BaseException as error:  # noqa: BLE001 - it is raised by the constructor
            loaded.set_exception(error)
            return
        loaded.set_result(None)
        while self._step():
            pass

    def _step(self) -> bool:
        """Start a batch, or finish the oldest if there is none to start; False when all is done.

        Frames are let go as their batch ends, before another is waited for.
        """
        parts = self._wait_for_batch(wait=not self._in_flight)
        if parts:
            self._start_batch(parts)
        elif not self._in_flight:
            return False
        if len(self._in_flight) >= self._detector.in_flight or not parts:
            self._finish_batch(self._in_flight.popleft())
        return True

    def _start_batch(self, parts: list[_Part]) -> None:
        arrays = [array for part in parts for array in part.arrays]
        try:
            wait = self._detector.submit(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
        except BaseException as error:  # noqa: BLE001 - it is each call's result
            self._fail(parts, error)
        else:
            self._in_flight.append(_InFlight(parts, wait, self._detector.passes_seen()))

    def _finish_batch(self, batch: _InFlight) -> None:
        try:
            detections = batch.wait()
        except BaseException as error:  # noqa: BLE001 - it is each call's result
            self._fail(batch.parts, error)
            return
        passes = batch.passes + self._detector.passes_seen()
        for part in batch.parts:
            part.call.passes += passes
            _distribute(part, detections[: part.frames])
            del detections[: part.frames]

    def _wait_for_batch(self, *, wait: bool) -> list[_Part]:
        """The next batch, once it is full or its wait is over.

        Empty when all is done and closed; without ``wait`` also where there is none now.
        """
        with self._changed:
            while True:
                for call in [call for call in self._calls if call.stop.is_set()]:
                    self._calls.remove(call)
                    call.result.set_exception(StoppedError("the request was cancelled"))
                if self._calls:
                    left_s = self._calls[0].due_s - time.monotonic()
                    if left_s <= 0 or self._closed or self._full():
                        return self._next_batch()
                    if not wait:
                        return []
                    self._changed.wait(left_s)
                elif self._closed or not wait:
                    return []
                else:
                    self._changed.wait()

    def _same_shape(self) -> list[_Call]:
        """The oldest calls whose pictures are of the shape of the first's."""
        shape = self._calls[0].shape
        return list(takewhile(lambda call: call.shape == shape, self._calls))

    def _full(self) -> bool:
        """Whether waiting longer gains nothing: the batch is full, or the next call does not fit in."""
        calls = self._same_shape()
        return sum(call.waiting for call in calls) >= self._size or len(calls) < len(self._calls)

    def _next_batch(self) -> list[_Part]:
        parts: list[_Part] = []
        missing = self._size
        for call in self._same_shape():
            parts.append(_Part(call, call.take(missing)))
            missing -= parts[-1].frames
            if not call.arrays:
                self._calls.popleft()
            if not missing:
                break
        return parts

    def _fail(self, parts: Sequence[_Part], error: BaseException) -> None:
        """The error is the result of every call in a batch, unless it has one from a batch before."""
        self._detector.passes_seen()  # they are not the next batch's
        for call in (part.call for part in parts):
            with self._changed:
                if call in self._calls:
                    self._calls.remove(call)
            if not call.result.done():
                call.result.set_exception(error)


def _distribute(part: _Part, detections: list[Detections]) -> None:
    """Give a call its share of a batch's results; with the last of them the call is complete."""
    call = part.call
    call.detections += detections
    if len(call.detections) == call.frames:
        assert call.start_s is not None
        call.result.set_result(
            Batched(
                detections=call.detections, start_s=call.start_s, batches=call.batches, passes=call.passes
            )
        )
