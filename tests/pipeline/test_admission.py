"""Who gets a slot, who waits, who is refused, and what becomes of work whose client has left."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from ray import cloudpickle

from vbench.pipeline.admission import LONGEST_RETRY_AFTER_S, WINDOW_S, Admission, to_its_end
from vbench.pipeline.errors import OverloadedError


class Clock:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Work:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def named(self, name: str) -> Callable[[], Coroutine[Any, Any, str]]:
        gate = self.gates[name] = asyncio.Event()

        async def run() -> str:
            self.started.append(name)
            try:
                await gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            return name

        return run


async def settle() -> None:
    """Let all that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def submit(admission: Admission, work: Work, name: str, timeout_s: float = 1e9) -> "asyncio.Task[str]":
    return asyncio.get_running_loop().create_task(admission.run(work.named(name), timeout_s))


def test_slots_run_and_the_queue_is_first_come_first_served() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=2, queue_length=2), Work()
        tasks = [submit(admission, work, name) for name in "abcd"]
        await settle()
        assert (work.started, admission.busy, admission.waiting) == (["a", "b"], 2, 2)
        work.gates["b"].set()
        await settle()
        assert work.started == ["a", "b", "c"]
        for name in "acd":
            work.gates[name].set()
        assert await asyncio.gather(*tasks) == list("abcd")
        assert (admission.busy, admission.waiting) == (0, 0)

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once_with_a_time_to_return() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=1, queue_length=1), Work()
        tasks = [submit(admission, work, name) for name in "ab"]
        await settle()
        with pytest.raises(OverloadedError, match="1 requests are in progress and 1 wait") as caught:
            await admission.run(work.named("c"))
        assert caught.value.retry_after_s >= 1
        for task in tasks:
            task.cancel()

    asyncio.run(scenario())


def test_times_to_return_are_spread_and_bounded() -> None:
    async def scenario() -> list[float]:
        admission, work = Admission(slots=1, queue_length=0, clock=Clock()), Work()
        task = submit(admission, work, "a")
        await settle()
        after = []
        for _ in range(300):
            with pytest.raises(OverloadedError) as caught:
                admission.check()
            after.append(caught.value.retry_after_s)
        task.cancel()
        return after

    after = asyncio.run(scenario())

    assert after == sorted(after)
    assert (after[0], after[-1]) == (1, LONGEST_RETRY_AFTER_S)
    assert all(after.count(seconds) <= 10 for seconds in range(1, 20))


def retry_afters(took_s: float, refused: int, *, fails: bool = False, **options: bool) -> list[float]:
    """Of so many clients that come at once, a minute after a request that took ``took_s``."""

    async def scenario() -> list[float]:
        clock = Clock()
        admission, work = Admission(slots=4, queue_length=0, clock=clock, **options), Work()

        async def first() -> None:
            clock.now_s += took_s
            if fails:
                raise ValueError("damaged")

        if fails:
            with pytest.raises(ValueError, match="damaged"):
                await admission.run(first)
        else:
            await admission.run(first)
        clock.now_s += 60.0
        tasks = [submit(admission, work, name) for name in "abcd"]
        await settle()
        after = []
        for _ in range(refused):
            with pytest.raises(OverloadedError) as caught:
                admission.check()
            after.append(caught.value.retry_after_s)
        for task in tasks:
            task.cancel()
        return after

    return asyncio.run(scenario())


def test_a_burst_after_an_idle_time_returns_as_fast_as_the_slots_would_work() -> None:
    """4 slots and 0.4 s are 10 requests per second: 240 clients return within 12 s, at twice that rate."""
    after = retry_afters(0.4, 240)
    assert after[-1] == 13
    assert all(after.count(seconds) <= 21 for seconds in range(1, 14))


def test_what_completes_counts_more_than_what_was_expected() -> None:
    async def scenario() -> float:
        clock = Clock()
        admission, work = Admission(slots=2, queue_length=0, clock=clock), Work()
        for _ in range(2):
            tasks = [submit(admission, work, name) for name in "ab"]
            await settle()
            clock.now_s += 0.1
            for name in "ab":
                work.gates[name].set()
            await asyncio.gather(*tasks)
        tasks = [submit(admission, work, name) for name in "ab"]
        await settle()
        refused = []
        for _ in range(100):
            with pytest.raises(OverloadedError) as caught:
                admission.check()
            refused.append(caught.value.retry_after_s)
        for task in tasks:
            task.cancel()
        return refused[-1]

    assert asyncio.run(scenario()) == LONGEST_RETRY_AFTER_S


def test_the_estimate_of_the_rate_is_bounded_and_of_good_work_in_slots_that_work() -> None:
    assert max(retry_afters(0.001, 240).count(seconds) for seconds in range(1, 20)) <= 51
    for slow in (
        retry_afters(100.0, 240),
        retry_afters(0.001, 240, fails=True),
        retry_afters(0.001, 240, slots_work=False),
    ):
        assert slow[-1] == LONGEST_RETRY_AFTER_S
        assert all(slow.count(seconds) <= 10 for seconds in range(1, 20))


def test_work_ahead_beyond_the_requests_time_is_refused() -> None:
    async def scenario() -> None:
        clock = Clock()
        admission, work = Admission(slots=1, queue_length=9, clock=clock), Work()
        first = submit(admission, work, "a")
        await settle()
        clock.now_s = 30.0
        work.gates["a"].set()
        await first
        second = submit(admission, work, "b")
        await settle()
        with pytest.raises(
            OverloadedError, match="the requests ahead of it need about 30 s, more than the 20 s"
        ):
            admission.check(20)
        admission.check(40)
        second.cancel()

    asyncio.run(scenario())


def test_work_whose_client_left_while_it_waited_never_starts() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=1, queue_length=2), Work()
        a, b, c = (submit(admission, work, name) for name in "abc")
        await settle()
        b.cancel()
        await settle()
        work.gates["a"].set()
        work.gates["c"].set()
        assert (await a, await c) == ("a", "c")
        assert work.started == ["a", "c"]

    asyncio.run(scenario())


def test_a_client_that_leaves_as_its_slot_comes_passes_it_on() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=1, queue_length=2), Work()
        a, b, c = (submit(admission, work, name) for name in "abc")
        await settle()
        work.gates["a"].set()
        while not a.done():
            await asyncio.sleep(0)
        b.cancel()
        work.gates["c"].set()
        assert await c == "c"
        await settle()
        assert admission.busy == 0

    asyncio.run(scenario())


def test_a_slot_is_held_until_its_work_has_ended_though_its_client_left() -> None:
    async def scenario() -> None:
        admission, ended = Admission(slots=1, queue_length=1), asyncio.Event()

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await ended.wait()

        task = asyncio.get_running_loop().create_task(admission.run(stubborn))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task  # the client's call ends at once
        work = Work()
        following = submit(admission, work, "b")
        await settle()
        assert (admission.busy, work.started) == (1, [])
        ended.set()
        await settle()
        assert work.started == ["b"]
        following.cancel()

    asyncio.run(scenario())


def test_an_error_is_passed_on_and_frees_the_slot() -> None:
    async def scenario() -> None:
        admission = Admission(slots=1, queue_length=0)

        async def broken() -> None:
            raise ValueError("no")

        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                await admission.run(broken)

    asyncio.run(scenario())


def test_impatient_clients_shorten_the_queue_and_the_newest_goes_first_until_they_stop() -> None:
    async def scenario() -> None:
        clock = Clock()
        admission, work = Admission(slots=4, queue_length=8, clock=clock), Work()
        running = [submit(admission, work, f"r{i}") for i in range(4)]
        waiting = [submit(admission, work, f"w{i}") for i in range(8)]
        await settle()
        for task in waiting[:3]:
            task.cancel()
        await settle()

        assert admission.impatient
        assert admission.waiting == 2, "half the slots"
        refused = waiting[3:6]
        assert all(isinstance(task.exception(), OverloadedError) for task in refused), "the oldest"
        work.gates["r0"].set()
        await settle()
        assert work.started[4:] == ["w7"], "the newest"

        clock.now_s += WINDOW_S + 1
        assert not admission.impatient
        fresh = [submit(admission, work, f"f{i}") for i in range(7)]
        await settle()
        assert admission.waiting == 8
        work.gates["r1"].set()
        await settle()
        assert work.started[5:] == ["w6"], "the oldest again"
        for task in running + waiting + fresh:
            task.cancel()

    asyncio.run(scenario())


def test_one_client_that_leaves_changes_nothing() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=1, queue_length=8), Work()
        tasks = [submit(admission, work, name) for name in "abcd"]
        await settle()
        tasks[1].cancel()
        await settle()
        assert not admission.impatient
        for task in tasks:
            task.cancel()

    asyncio.run(scenario())


def test_a_thread_is_waited_for_when_its_request_is_cancelled() -> None:
    async def scenario() -> None:
        started, ended = asyncio.Event(), asyncio.Event()

        async def thread() -> None:
            started.set()
            await ended.wait()

        task = asyncio.get_running_loop().create_task(to_its_end(thread()))
        await started.wait()
        task.cancel()
        await settle()
        assert not task.done()
        ended.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_an_overload_crosses_processes_with_its_time_to_return() -> None:
    error = cloudpickle.loads(cloudpickle.dumps(OverloadedError("full", 7)))

    assert (type(error), str(error), error.retry_after_s) == (OverloadedError, "full", 7)


def test_fewer_slots_take_effect_as_work_ends_and_more_at_once() -> None:
    async def scenario() -> None:
        admission, work = Admission(slots=3, queue_length=9), Work()
        tasks = [submit(admission, work, name) for name in "abcdef"]
        await settle()
        admission.slots = 1
        work.gates["a"].set()
        work.gates["b"].set()
        await settle()
        assert (work.started, admission.busy) == (["a", "b", "c"], 1)
        work.gates["c"].set()
        await settle()
        assert (work.started[3:], admission.busy) == (["d"], 1)
        admission.slots = 3
        await settle()
        assert (work.started[3:], admission.busy) == (["d", "e", "f"], 3)
        for name in "def":
            work.gates[name].set()
        assert await asyncio.gather(*tasks) == list("abcdef")

    asyncio.run(scenario())
