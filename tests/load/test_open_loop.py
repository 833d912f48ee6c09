"""An open load against a real HTTP server: the schedule holds, and latency counts from the planned time."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.runs import ROOT
from vbench.load.closed_loop import HttpRequest, Outcome
from vbench.load.open_loop import open_loop
from vbench.record.quantiles import percentile

SERVER = ROOT / "experiments" / "open_load" / "echo_server.py"


@contextmanager
def server() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def sent(
    url: str, path: str, due_times_s: list[float], *, in_flight_limit: int = 1000, timeout_s: float = 30
) -> list[Outcome]:
    return open_loop(
        (url,),
        lambda index: HttpRequest(method="POST", path=path, body=str(index).encode()),
        due_times_s,
        in_flight_limit=in_flight_limit,
        timeout_s=timeout_s,
        answered=lambda outcome: None,
    )


def every(period_s: float, count: int) -> list[float]:
    return [number * period_s for number in range(count)]


def test_each_request_is_sent_when_it_is_due_and_answered_by_its_own_response() -> None:
    with server() as url:
        outcomes = sent(url, "/", [0, 0.05, 0.05, 0.3])
    assert [outcome.body for outcome in outcomes] == [b"0", b"1", b"2", b"3"]
    assert [round(outcome.scheduled_s - outcomes[0].scheduled_s, 6) for outcome in outcomes] == [
        0,
        0.05,
        0.05,
        0.3,
    ]
    assert all(one.scheduled_s <= one.sent_s <= (one.first_byte_s or 0) <= one.done_s for one in outcomes)
    assert all(outcome.is_success for outcome in outcomes)


def test_a_stall_shows_in_every_latency_that_it_delayed() -> None:
    """1,000 requests, 200 a second; the server stands still for a second."""
    with server() as url:
        outcomes = sent(url, "/?stall_at=300&stall_s=1", every(0.005, 1000))
    latencies = [outcome.done_s - outcome.scheduled_s for outcome in outcomes]
    stalled = outcomes[299].scheduled_s
    for outcome, latency in zip(outcomes, latencies, strict=True):
        into_s = outcome.scheduled_s - stalled
        if 0.05 <= into_s <= 0.95:
            assert latency >= 1 - into_s - 0.05
    assert statistics.median(latencies) < 0.1
    assert sum(latency > 0.1 for latency in latencies) >= 150


def test_a_slow_service_gets_the_same_schedule() -> None:
    with server() as url:
        outcomes = sent(url, "/?for_s=0.6", every(0.005, 200))
    due = [outcome.scheduled_s for outcome in outcomes]
    assert due[-1] - due[0] == pytest.approx(199 * 0.005)
    assert max(outcome.sent_s for outcome in outcomes) < min(outcome.done_s for outcome in outcomes) + 0.6
    assert all(outcome.is_success for outcome in outcomes)


def test_a_failure_ends_no_other_request() -> None:
    with server() as url:
        outcomes = sent(url, "/?status=503", every(0.01, 5)) + sent(url, "/?for_s=5", [0, 0.1], timeout_s=0.3)
    assert [outcome.status for outcome in outcomes[:5]] == [503] * 5
    assert not any(outcome.is_success for outcome in outcomes)
    assert {outcome.error for outcome in outcomes[5:]} == {"no response within load.timeout_s=0.3"}
    assert all(0.3 <= outcome.done_s - outcome.scheduled_s < 1 for outcome in outcomes[5:])


def test_a_request_beyond_the_limit_is_not_sent_and_says_so() -> None:
    with server() as url:
        outcomes = sent(url, "/?for_s=0.5", every(0.01, 6), in_flight_limit=4)
    assert [outcome.is_success for outcome in outcomes] == [True] * 4 + [False] * 2
    assert outcomes[-1].error == "not sent: 4 requests were in flight, which is load.in_flight_limit"


def test_a_connection_that_breaks_is_an_error_of_its_request_alone() -> None:
    with server() as url:
        outcomes = sent(url, "/?close_at=2", every(0.05, 4))
    failed = [outcome for outcome in outcomes if outcome.error]
    assert len(failed) <= 1
    assert all(outcome.error.startswith("the connection failed: ") for outcome in failed if outcome.error)
    nobody = sent("http://127.0.0.1:9", "/", [0])
    assert nobody[0].error is not None
    assert nobody[0].error.startswith("the connection failed: ")


@pytest.mark.parametrize("rate", [50, 200, 500])
def test_lateness_is_recorded(rate: int) -> None:
    """How late it is depends on the machine; that no request is early, and that it is measured, does not."""
    with server() as url:
        outcomes = sent(url, "/", every(1 / rate, 2 * rate))
    late_ms = [1000 * (outcome.sent_s - outcome.scheduled_s) for outcome in outcomes]
    assert min(late_ms) >= 0
    print(f"{rate}/s: p50 {percentile(late_ms, 50):.2f} ms, p99 {percentile(late_ms, 99):.2f} ms")
