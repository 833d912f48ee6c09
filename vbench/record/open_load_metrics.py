"""What a service made of an open load: goodput, failures, and whether it kept up with the arrivals."""

import math
import statistics
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.config.arrivals import OPEN_LOADS
from vbench.config.objective import Objective, objective
from vbench.record.requests import Request

MOMENTS = 200
"""At which the backlog is counted, evenly over the time in which it is judged."""

START_SHARE = 0.25
"""Of the time in which requests are due. Then a service that was idle fills up, which is no growth."""

MOST_GROWTH_SHARE = 0.05
"""Of the requests that were due meanwhile: a service that keeps up leaves no more of them behind."""

LEAST_GROWTH = 5.0
"""Requests; a backlog that grew by fewer may have done so by chance."""

CHANCE = 2.0
"""Times the square root of the mean backlog: the same for a large one. How often random arrivals are taken
for growth all the same, and growth for chance, is in docs/statistics.md and
tests/record/test_open_load_metrics.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """That a load was open, and what it had to hold."""

    objective: Objective | None
    """None: only a correct response."""


def open_load_of(config: Mapping[str, Any]) -> OpenLoad | None:
    """The open load of a configuration as plain values; None for a closed loop."""
    load = config["load"]
    return OpenLoad(objective=objective(load.get("objective"))) if load["name"] in OPEN_LOADS else None


def has_failed(request: Request) -> bool:
    """Whether a request has no correct response."""
    return request.error is not None or request.mismatch is not None


def is_good(request: Request, limits: Objective | None) -> bool:
    """Whether a request was answered correctly, and within the limit of the latency if there is one."""
    if has_failed(request):
        return False
    return limits is None or limits.latency is None or request.latency_s < limits.latency.limit_s


def open_load(requests: Sequence[Request], limits: Objective | None) -> dict[str, float]:
    """Of the requests of an open load, one at least:

    ``offered_requests_per_s``: those that were due, over the time in which they were due.
    ``goodput_requests_per_s``: of these, those that were good (``is_good``).
    ``failed_percent``: those without a correct response; ``missed_percent``: those that were not good.
    ``in_flight_max``, ``backlog_slope_per_s``: by how many requests per second the number in flight grew.
    ``keeps_up``: 1 if that is no more than chance brings; else 0.
    """
    due_s = arrivals_s(requests)
    failed = sum(map(has_failed, requests))
    good = sum(is_good(one, limits) for one in requests)
    slope = backlog_slope_per_s(requests)
    return {
        "offered_requests_per_s": len(requests) / due_s,
        "goodput_requests_per_s": good / due_s,
        "failed_percent": 100 * failed / len(requests),
        "missed_percent": 100 * (len(requests) - good) / len(requests),
        "in_flight_max": float(max(backlog(requests, [one.scheduled_s for one in requests]), default=0)),
        "backlog_slope_per_s": slope,
        "keeps_up": float(keeps_up(requests)),
    }


def without_mean(metrics: Mapping[str, float]) -> str:
    """Why a valid trial has no mean latency."""
    if not metrics.get("keeps_up", 1):
        slope = metrics["backlog_slope_per_s"]
        return f"the service did not keep up with the load, and its backlog grew by {slope:.3g} requests/s"
    if metrics.get("failed_percent"):
        return f"{metrics['failed_percent']:.3g}% of the requests failed"
    return "it has no mean latency"


def arrivals_s(requests: Sequence[Request]) -> float:
    """Seconds in which the requests were due: n of them, from the first to the last, have n - 1 gaps; the
    mean gap follows the last."""
    due = [one.scheduled_s for one in requests]
    between_s = max(due) - min(due)
    return between_s * len(due) / (len(due) - 1) if between_s else 1.0


def backlog(requests: Sequence[Request], moments_s: Sequence[float]) -> list[int]:
    """How many requests were due and not done at each of these moments, in the client's monotonic seconds."""
    due = sorted(one.scheduled_s for one in requests)
    done = sorted(one.done_s for one in requests)
    return [bisect_right(due, at_s) - bisect_right(done, at_s) for at_s in moments_s]


def backlog_slope_per_s(requests: Sequence[Request]) -> float:
    """By how many requests per second the backlog grew: the slope of a straight line through it (least
    squares), from the end of the start until the last request was due. 0 for requests that were all due at
    once."""
    begin_s, end_s = _judged(requests)
    if begin_s == end_s:
        return 0.0
    moments = _moments(begin_s, end_s)
    return statistics.linear_regression(moments, backlog(requests, moments)).slope


def keeps_up(requests: Sequence[Request]) -> bool:
    """Whether the service answered requests as fast as they came: its backlog did not grow by more than it
    may by chance."""
    begin_s, end_s = _judged(requests)
    due = sum(one.scheduled_s >= begin_s for one in requests)
    typical = statistics.fmean(backlog(requests, _moments(begin_s, end_s)))
    most = max(LEAST_GROWTH, MOST_GROWTH_SHARE * due, CHANCE * math.sqrt(typical))
    return backlog_slope_per_s(requests) * (end_s - begin_s) <= most


def _judged(requests: Sequence[Request]) -> tuple[float, float]:
    """From when to when the backlog is judged, in the client's monotonic seconds."""
    due = [one.scheduled_s for one in requests]
    first_s, last_s = min(due), max(due)
    return first_s + START_SHARE * (last_s - first_s), last_s


def _moments(begin_s: float, end_s: float) -> list[float]:
    return [begin_s + (end_s - begin_s) * number / MOMENTS for number in range(MOMENTS + 1)]


def latency_quantile_s(requests: Sequence[Request], percent: float) -> float:
    """The latency below which so many percent of all requests stayed; one that failed took forever.

    The nearest rank: the smallest latency that at least so many percent do not exceed. Infinite if they
    failed.
    """
    latencies = sorted(math.inf if has_failed(one) else one.latency_s for one in requests)
    return latencies[max(0, math.ceil(percent / 100 * len(latencies)) - 1)]


def holds(requests: Sequence[Request], limits: Objective) -> bool:
    """Whether the requests of a load hold an objective, and the service kept up with them."""
    failed = sum(map(has_failed, requests))
    most = limits.most_errors_percent
    if most is not None and not 100 * failed < most * len(requests):
        return False
    limit = limits.latency
    return keeps_up(requests) and (
        limit is None or latency_quantile_s(requests, limit.percent) < limit.limit_s
    )
