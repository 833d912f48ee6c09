"""Start, steady window and drain are told apart by the requests' own lines."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import records
from vbench.record.measurements import Measurements
from vbench.record.metrics import summarize
from vbench.record.requests import Request
from vbench.record.steady_window import Busy, all_slots_busy, halves, steady
from vbench.run.trial_report import over_time


def closed_loop(latencies_s: list[float], slots: int) -> list[Request]:
    """Each slot takes the next request as soon as its last one is answered."""
    free = [100.0] * slots
    requests = []
    for index, latency_s in enumerate(latencies_s):
        at = min(range(slots), key=free.__getitem__)
        start, free[at] = free[at], free[at] + latency_s
        requests.append(records.request(index, scheduled_s=start, sent_s=start, done_s=free[at]))
    return requests


def test_halves_are_by_index_whatever_the_order_of_the_lines() -> None:
    requests = closed_loop([1.0, 2.0, 3.0, 10.0, 20.0], 1)
    expected = {"latency_mean_first_half_s": 1.5, "latency_mean_second_half_s": 11.0}
    assert halves(requests) == pytest.approx(expected)
    assert halves(requests[::-1]) == pytest.approx(expected)
    assert halves(requests[:1]) == {}


def test_the_window_ends_with_the_first_slot_that_stays_idle() -> None:
    """Four slots: requests 0 to 3 are due at 100 s; the fifth answer of eight leaves a slot idle."""
    requests = closed_loop([4.0, 5.0, 6.0, 7.0, 5.0, 9.0, 9.0, 9.0], 4)
    assert all_slots_busy(requests) == Busy(begin_s=100.0, end_s=109.0, length_s=9.0)
    found = steady(requests)
    assert found["steady_s"] == pytest.approx(9.0)
    assert found["steady_requests"] == 5
    assert found["steady_latency_mean_s"] == pytest.approx((4 + 5 + 6 + 7 + 5) / 5)
    assert found["steady_throughput_requests_per_s"] == pytest.approx(5 / 9)


@given(slots=st.integers(1, 6), extra=st.integers(0, 40), seed=st.integers(0, 10**6))
def test_all_but_the_drain_is_in_the_window(slots: int, extra: int, seed: int) -> None:
    draw = random.Random(seed)
    count = slots + extra
    requests = closed_loop([draw.uniform(1, 3) for _ in range(count)], slots)
    found = steady(requests)
    assert found["steady_requests"] == count - slots + 1
    last_s = max(r.done_s for r in requests) - 100.0
    assert found["steady_s"] <= last_s + 1e-9


def test_what_passes_between_two_requests_of_a_transfer_is_not_time_with_all_slots_busy() -> None:
    """2 s each, and half a second between them, in which the objects are made."""
    starts_s = [100.0, 102.5, 105.0]
    requests = [
        records.request(index, scheduled_s=at, sent_s=at, done_s=at + 2.0)
        for index, at in enumerate(starts_s)
    ]
    assert all_slots_busy(requests) == Busy(begin_s=100.0, end_s=107.0, length_s=6.0)
    assert steady(requests)["steady_throughput_requests_per_s"] == pytest.approx(0.5)
    metrics = summarize(None, Measurements(requests=requests))
    assert metrics["steady_s"] == pytest.approx(metrics["makespan_s"])


def test_a_drain_that_is_faster_does_not_change_the_steady_mean() -> None:
    requests = closed_loop([4.0] * 9, 4)
    fast = [replace(r, done_s=r.scheduled_s + 1.0) if r.index == 8 else r for r in requests]
    assert steady(fast)["steady_latency_mean_s"] == pytest.approx(4.0, rel=0.2)
    assert steady([]) == {}


def test_a_trial_has_them_beside_the_mean() -> None:
    requests = closed_loop([2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0], 4)
    metrics = summarize(records.clip(), Measurements(requests=requests))
    assert metrics["latency_mean_first_half_s"] == pytest.approx(2.5)
    assert metrics["latency_mean_second_half_s"] == pytest.approx(4.5)
    assert metrics["makespan_s"] == pytest.approx(8.0)
    first, second = over_time(metrics)
    assert first == "First half 2.50 s, second half 4.50 s; makespan 8.0 s"
    assert second.startswith("All slots busy for 6.0 s: mean ")
    assert "of n = 6 requests" in second  # two answers at the same moment leave two slots idle
    assert second.endswith("; against all requests, latency -14.3%, throughput +0.0%")
    assert over_time({"latency_mean_s": 1.0}) == []
