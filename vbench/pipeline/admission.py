"""Admission control: a bound on requests in progress, a bounded queue, and immediate refusal beyond it."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from vbench.pipeline.errors import QueueFullError

T = TypeVar("T")

WINDOW_S = 10.0
"""Completions and departures of this last time count."""

FEWEST_DEPARTURES = 3
DEPARTED_SHARE = 0.1
"""Clients count as impatient once this many left within the window, and more than this share of the
completions."""

LEAST_RETURNS_PER_S = 5.0
MOST_EXPECTED_PER_S = 25.0
LONGEST_RETRY_AFTER_S = 20.0
"""Refused clients are told to return one after another, at twice the rate at which requests complete, or,
after an idle time, would with all slots in use (``MOST_EXPECTED_PER_S`` at most, as that is an estimate), at
least at ``LEAST_RETURNS_PER_S``, and after this time at the latest. Else they would all return at once."""

SMOOTHING = 0.2
"""Weight of the latest request in the mean time that a request takes."""


class Admission:
    """Runs work in ``slots`` slots, queues ``queue_length`` more, and refuses the rest with QueueFullError.

    A slot is held until its work has really ended, also after its client left. Work whose client leaves while
    it waits never starts. The queue is first come, first served, until clients leave because they waited too
    long. Then only half as many wait as there are slots, and the newest goes first: whoever waited longest is
    the next to leave, and work for it would be lost. That ends once nobody has left for ``WINDOW_S``.

    Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        slots: int,
        queue_length: int,
        clock: Callable[[], float] = time.monotonic,
        slots_work: bool = True,
    ) -> None:
        """``slots_work``: whether a request with a slot is being processed, and does not wait elsewhere."""
        self._slots = slots
        self._slots_work = slots_work
        self._answer_s: float | None = None
        """Mean time of the work that ended well."""
        self._queue_length = queue_length
        self._clock = clock
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._work_s: float | None = None
        self._completed: deque[float] = deque()
        self._departed: deque[float] = deque()
        self._impatient_until_s = -math.inf
        self._last_return_s = -math.inf

    @property
    def slots(self) -> int:
        """How many there are. With fewer than are in use, none is given away until enough are free."""
        return self._slots

    @slots.setter
    def slots(self, count: int) -> None:
        self._slots = count
        self._grant()

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._busy

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not turn.done() for turn in self._waiting)

    @property
    def impatient(self) -> bool:
        """Whether clients have been leaving before they were answered."""
        return self._clock() < self._impatient_until_s

    def check(self, timeout_s: float = math.inf) -> None:
        """QueueFullError if a request that came now could not be answered within ``timeout_s``."""
        waiting = self.waiting
        if self._busy < self._slots and not waiting:
            return
        if waiting >= self._places:
            raise self._refusal(f"{self._busy} requests are in progress and {waiting} wait")
        ahead_s = (waiting + 1) * (self._work_s or 0.0) / self._slots
        if ahead_s > timeout_s:
            raise self._refusal(
                f"the requests ahead of it need about {ahead_s:.0f} s, more than the {timeout_s:g} s"
                " that this one may take"
            )

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float = math.inf) -> T:
        """What ``work`` returns, run in a slot. ``timeout_s``: for the request, waiting included.

        Cancelling takes the request out of the queue, or cancels its work, once, and returns at once: the
        slot is free when the work has ended.
        """
        self.check(timeout_s)
        await self._turn()
        started_s = self._clock()
        task = asyncio.get_running_loop().create_task(work())
        task.add_done_callback(lambda ended: self._end(ended, started_s))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                task.cancel()
                self._depart()
            raise

    @property
    def _places(self) -> int:
        """Of the queue, now."""
        return min(self._queue_length, max(1, self._slots // 2)) if self.impatient else self._queue_length

    async def _turn(self) -> None:
        """Wait for a slot and take it."""
        if self._busy < self._slots and not self.waiting:
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._depart()
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self._busy -= 1  # the slot came as the client left
                self._grant()
            raise

    def _end(self, task: "asyncio.Task[Any]", started_s: float) -> None:
        """Free the slot of work that has ended."""
        now_s = self._clock()
        took_s = now_s - started_s
        self._work_s = _smoothed(self._work_s, took_s)
        # Looked at in any case, also if its client has left: else asyncio complains.
        if not task.cancelled() and not isinstance(task.exception(), QueueFullError):
            self._completed.append(now_s)
            if task.exception() is None:
                self._answer_s = _smoothed(self._answer_s, took_s)
        self._busy -= 1
        self._grant()

    def _grant(self) -> None:
        """Give free slots to those that wait."""
        while self._waiting and self._busy < self._slots:
            turn = self._waiting.pop() if self.impatient else self._waiting.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)

    def _depart(self) -> None:
        """Note that a client left, and refuse the longest in the queue if that makes it too long."""
        now_s = self._clock()
        self._departed.append(now_s)
        self._forget(now_s)
        many = len(self._departed) >= FEWEST_DEPARTURES
        if self.impatient or (many and len(self._departed) > DEPARTED_SHARE * len(self._completed)):
            self._impatient_until_s = now_s + WINDOW_S
        while self.waiting > self._places:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(
                    self._refusal("clients disconnect before they get a response, so the queue was shortened")
                )

    def _forget(self, now_s: float) -> None:
        for times in (self._completed, self._departed):
            while times and times[0] < now_s - WINDOW_S:
                times.popleft()

    @property
    def _expected_per_s(self) -> float:
        """Completions with all slots in use, as the latest ones took; 0 once the window has as many as there
        are slots, since that is the better measure."""
        if not self._slots_work or not self._answer_s or len(self._completed) >= self._slots:
            return 0.0
        return min(self._slots / self._answer_s, MOST_EXPECTED_PER_S)

    def _refusal(self, reason: str) -> QueueFullError:
        """For one more client, with a time to return of its own."""
        now_s = self._clock()
        self._forget(now_s)
        per_s = max(LEAST_RETURNS_PER_S, 2 * len(self._completed) / WINDOW_S, 2 * self._expected_per_s)
        next_place_s = now_s + (self._work_s or 0.0) / self._slots
        self._last_return_s = min(
            max(self._last_return_s, next_place_s) + 1 / per_s, now_s + LONGEST_RETRY_AFTER_S
        )
        after_s = max(1, math.ceil(min(self._last_return_s - now_s, LONGEST_RETRY_AFTER_S)))
        return QueueFullError(
            f"The service is overloaded: {reason}. Send the request again in {after_s} s.", after_s
        )


def _smoothed(mean: float | None, latest: float) -> float:
    return latest if mean is None else mean + SMOOTHING * (latest - mean)


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; when cancelled, wait until it has ended before that is passed on.

    For threads, which a cancellation does not stop.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
