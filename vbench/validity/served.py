"""Whether client and service agree on the requests and their times."""

from collections.abc import Iterator, Sequence

from vbench.record import clock_skew
from vbench.record.load_report import Graph, LoadReport
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.catalog.load import NO_OTHER_REQUESTS, TIMES_AGREE
from vbench.validity.first_problem import first_problem

CLOCK_S = 0.02
"""Processes of one machine share a clock; a step of it, or a wait between two reads, may take this long.
In honest trials, it was less than 5 ms."""

API = "VideoProcessingAPI"


def tolerance_s(load_report: LoadReport) -> float:
    """How far two processes' clocks may be apart in this trial."""
    return CLOCK_S + clock_skew.apart_s(load_report.clocks_off_s)


def judge(load_report: LoadReport, graph: Graph, requests: Sequence[Request]) -> Iterator[Rule]:
    """The rules on when requests were received and finished, and how many there were."""
    answered = [request for request in requests if request.error is None]
    yield _times(load_report, answered)
    if len(answered) == len(requests):
        yield _counts(graph, answered)


def _times(load_report: LoadReport, answered: Sequence[Request]) -> Rule:
    """The service receives a request after it is sent and finishes it before it is done, by both clocks."""
    off_s = tolerance_s(load_report)
    problems = []
    worst_s = 0.0
    for one in answered:
        done_unix_s = one.sent_unix_s + one.done_s - one.sent_s
        if one.received_s is None or one.finished_s is None:
            problems.append(f"request {one.index} does not say when the service received it")
            continue
        early_s, late_s = one.sent_unix_s - one.received_s, one.finished_s - done_unix_s
        worst_s = max(worst_s, early_s, late_s)
        if early_s > off_s:
            problems.append(
                f"the service received request {one.index} {early_s:.3f} s before the client sent it"
            )
        if late_s > off_s:
            problems.append(f"the service finished request {one.index} {late_s:.3f} s after it was answered")
        if one.finished_s < one.received_s - off_s:
            problems.append(f"the service finished request {one.index} before it received it")
    # Each request has its sending time on both of the client's clocks.
    apart = [one.sent_unix_s - one.sent_s for one in answered]
    if apart and max(apart) - min(apart) > off_s:
        problems.append(f"the client's two clocks diverged by {max(apart) - min(apart):.3f} s")
    return TIMES_AGREE.verdict(
        passed=bool(answered) and not problems,
        observed=(
            first_problem(problems)
            if problems
            else f"within {1000 * off_s:.0f} ms in {len(answered)} requests"
        ),
    )


def _counts(graph: Graph, answered: Sequence[Request]) -> Rule:
    """Replicas number their calls: a gap is a call that is in no measured request, a repetition is one that
    is in two. The first number of an API replica follows the warm-up's last.

    An API replica and Serve's proxy number each HTTP request, whatever becomes of it, and report the number
    with each response, so other requests that came after the last recorded one count too. Neither the harness
    nor Serve sends any: both check through Ray whether replicas and proxies are ready. HAProxy counts itself,
    and its own checks of the replicas do not reach the application.
    """
    problems = []
    calls: dict[str, list[int]] = {}
    last_number: dict[str, int] = {}
    for request in answered:
        for one in request.replicas:
            last_number[one.replica] = max(last_number.get(one.replica, 0), request.api_requests or 0)
            calls.setdefault(one.replica, []).extend(call[0] for call in one.calls)
    for replica, numbers in sorted(calls.items()):
        api = replica.startswith(f"{API}#")
        first = graph.served_before.get(replica, 0) + 1 if api else min(numbers)
        known, whole = set(numbers), set(range(first, max(numbers) + 1))
        what = "requests" if api else "calls"
        if len(known) < len(numbers):
            problems.append(f"{len(numbers) - len(known)} {what} of {replica} are counted twice")
        others = len(whole - known)
        if api:
            counted = max(last_number.get(replica, 0) - first + 1, 0)
            others = max(others, counted - len(known))
        if others:
            problems.append(f"{replica} had {others} more {what} than are recorded")
        if known - whole:
            problems.append(f"{len(known - whole)} {what} of {replica} are from before the measured time")
    problems += _at_the_proxy(graph, answered)
    return NO_OTHER_REQUESTS.verdict(
        passed=bool(answered) and not problems,
        observed=(
            first_problem(problems)
            if problems
            else f"{len(answered)} requests after {graph.warm_up_requests} of the warm-up, no others"
        ),
    )


def _at_the_proxy(graph: Graph, answered: Sequence[Request]) -> Iterator[str]:
    """Requests to Serve's proxy other than the recorded ones, including those that it answered itself;
    nothing if it does not count, as in older records."""
    counts = [one.proxy_requests for one in answered if one.proxy_requests is not None]
    if graph.proxy_served_after is not None:
        counts = [graph.proxy_served_after]
    if graph.proxy_served_before is None or not counts:
        return
    proxy = "Serve's proxy" if graph.proxy_served_after is None else "HAProxy"
    others = max(counts) - graph.proxy_served_before - len(answered)
    if others > 0:
        yield f"{others} other HTTP requests came to {proxy}"
    if others < 0:
        yield f"{proxy} had {-others} fewer requests than are recorded"
