"""Whether latencies are the service's own: how much the client and the network add to them."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from vbench.config.schema import LoadConfig
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.catalog.load import LATENCY_OF_SERVICE

LEAST_OUTSIDE_S = 0.25
MOST_OUTSIDE_SHARE = 0.1
"""The larger of the two may pass outside the service: sending, the proxy, the response's way back and reading
it. As a share of the mean latency, it was at most 4.5% in honest trials."""

MEAN_LATE_SHARE = 0.08
"""Share of ``load.max_late_ms``, which bounds the latest request: the mean must be far below."""
MOST_LATE_SHARE = 0.02
"""Share of the mean latency, which applies if it is more."""


def judge(load: LoadConfig, requests: Sequence[Request]) -> Iterator[Rule]:
    """The rule; none if no response says when the service received the request."""
    answered = [one for one in requests if one.error is None]
    outside = [
        one.latency_s - (one.finished_s - one.received_s)
        for one in answered
        if one.received_s is not None and one.finished_s is not None
    ]
    if not outside:
        return
    latency_s, outside_s = fmean(one.latency_s for one in answered), fmean(outside)
    late_s = fmean(max(0.0, one.late_s) for one in answered)
    bound_s = max(LEAST_OUTSIDE_S, MOST_OUTSIDE_SHARE * latency_s)
    late_bound_s = max(MEAN_LATE_SHARE * load.max_late_ms / 1000, MOST_LATE_SHARE * latency_s)
    problems = []
    if outside_s > bound_s:
        problems.append(
            f"{outside_s:.3f} s of the mean latency of {latency_s:.3f} s passed outside the service, limit"
            f" {bound_s:.3f} s"
        )
    if late_s > late_bound_s:
        problems.append(
            f"requests were sent {1000 * late_s:.0f} ms late on average, limit {1000 * late_bound_s:.0f} ms"
        )
    yield LATENCY_OF_SERVICE.verdict(
        passed=not problems,
        observed=(
            "; ".join(problems)
            or f"{1000 * outside_s:.0f} ms of {latency_s:.3f} s passed outside the service on average"
        ),
    )
