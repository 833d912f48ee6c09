"""Goodput counts what is good, and a service that falls behind is told from one that keeps up."""

import heapq
import math
import random
from collections.abc import Callable

import pytest

from tests.support import records
from vbench.config.objective import LatencyLimit, Objective, objective
from vbench.record.open_load_metrics import (
    backlog,
    holds,
    keeps_up,
    latency_quantile_s,
    open_load,
)
from vbench.record.requests import Request

WITHIN_2S = Objective(latency=LatencyLimit(percent=50, limit_s=2))


def request(number: int, due_s: float, latency_s: float, error: str | None = None) -> Request:
    return records.request(number, scheduled_s=due_s, sent_s=due_s, done_s=due_s + latency_s, error=error)


def evenly(latencies_s: list[float], gap_s: float = 1.0) -> list[Request]:
    return [request(number, number * gap_s, latency_s) for number, latency_s in enumerate(latencies_s)]


def queue(
    utilisation: float, *, requests: int, servers: int, work_s: Callable[[random.Random], float], seed: int
) -> list[Request]:
    """Random arrivals at servers that each work on one request at a time, in the order of arrival."""
    drawn = random.Random(seed)
    at_s, free = 0.0, [0.0] * servers
    served = []
    for number in range(requests):
        at_s += drawn.expovariate(utilisation * servers)
        done_s = max(at_s, heapq.heappop(free)) + work_s(drawn)
        heapq.heappush(free, done_s)
        served.append(request(number, at_s, done_s - at_s))
    return served


def test_requests_that_fail_or_are_late_are_no_goodput() -> None:
    requests = [*evenly([1, 1, 3, 1]), request(4, 4, 0.1, error="HTTP 503")]
    found = open_load(requests, WITHIN_2S)
    assert found["offered_requests_per_s"] == pytest.approx(1)
    assert found["goodput_requests_per_s"] == pytest.approx(3 / 5)
    assert found["failed_percent"] == pytest.approx(20)
    assert found["missed_percent"] == pytest.approx(40)
    assert open_load(requests, None)["goodput_requests_per_s"] == pytest.approx(4 / 5)


def test_the_backlog_is_what_is_due_and_not_done() -> None:
    requests = evenly([0.5, 2.2, 1.1])
    assert backlog(requests, [0, 0.4, 0.5, 1, 2, 3, 3.1, 3.2]) == [1, 1, 0, 1, 2, 2, 1, 0]
    assert open_load(requests, None)["in_flight_max"] == 2


def test_a_failed_request_took_forever() -> None:
    requests = [*evenly([float(number) for number in range(1, 20)]), request(19, 19, 0.1, error="HTTP 500")]
    assert latency_quantile_s(requests, 50) == 10
    assert latency_quantile_s(requests, 95) == 19
    assert latency_quantile_s(requests, 96) == math.inf


def test_a_backlog_that_grows_by_a_request_a_second_has_that_slope() -> None:
    requests = evenly([number / 2 + 0.01 for number in range(200)], gap_s=0.5)
    assert open_load(requests, None)["backlog_slope_per_s"] == pytest.approx(1, rel=0.02)
    assert not keeps_up(requests)


@pytest.mark.parametrize("servers", [1, 4, 16])
@pytest.mark.parametrize(
    "work_s", [lambda _: 1.0, lambda drawn: drawn.expovariate(1), lambda drawn: drawn.lognormvariate(-0.5, 1)]
)
def test_keeping_up_is_told_from_falling_behind(
    servers: int, work_s: Callable[[random.Random], float]
) -> None:
    """1,000 random arrivals at 80% and at 120% of what the servers can do, 15 times each."""

    def keeping(utilisation: float) -> int:
        trials = (
            queue(utilisation, requests=1000, servers=servers, work_s=work_s, seed=seed) for seed in range(15)
        )
        return sum(keeps_up(requests) for requests in trials)

    assert keeping(0.8) >= 14
    assert keeping(1.2) <= 1


def test_an_idle_service_that_fills_up_keeps_up() -> None:
    """The first requests find nothing before them; the time in which the backlog comes is not judged."""
    assert keeps_up(evenly([10.0] * 100))


def test_an_objective_holds_only_if_all_of_it_does() -> None:
    limits = objective("p90<2s,errors<10%")
    assert limits is not None
    quick = evenly([1.0] * 50)
    assert holds(quick, limits)
    assert not holds([*quick[:40], *[request(n, n, 5) for n in range(40, 50)]], limits)
    failing = [*quick[:45], *[request(n, n, 1, error="HTTP 503") for n in range(45, 50)]]
    assert not holds(failing, limits)
    assert holds([*quick[:46], *[request(n, n, 1, error="HTTP 503") for n in range(46, 50)]], limits)
    assert not holds(evenly([number / 5 for number in range(300)], gap_s=0.2), limits)
