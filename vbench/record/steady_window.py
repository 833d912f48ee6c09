"""Start, steady window and drain of a closed loop: its makespan and halves, and when all slots were busy."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from vbench.record.requests import Request


def makespan_s(requests: Sequence[Request]) -> float:
    """From the first request that was due to the last that was done; 0 for none."""
    if not requests:
        return 0.0
    return max(one.done_s for one in requests) - min(one.scheduled_s for one in requests)


def halves(requests: Sequence[Request]) -> dict[str, float]:
    """Mean latency of the first and of the second half of the requests, by index.

    Of an odd number the second half has one more. Nothing for one request.
    """
    if len(requests) < 2:
        return {}
    ordered = [r.latency_s for r in sorted(requests, key=lambda r: r.index)]
    middle = len(ordered) // 2
    return {
        "latency_mean_first_half_s": statistics.fmean(ordered[:middle]),
        "latency_mean_second_half_s": statistics.fmean(ordered[middle:]),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """When all slots were busy, in the client's monotonic seconds."""

    begin_s: float
    """The first such moment."""
    end_s: float
    """The last one."""
    length_s: float
    """How long all slots were busy in between. In a closed loop that is all the time, since an answer makes
    the next request due. A transfer makes its objects between two requests."""


def all_slots_busy(requests: Sequence[Request]) -> Busy | None:
    """When as many requests were due and not answered as ever were at one moment.

    None if there are no requests, or if all slots were busy for no time.
    """
    change: Counter[float] = Counter()
    for request in requests:
        change[request.scheduled_s] += 1
        # One that is due when another is answered takes its slot: both happen at that moment.
        change[request.done_s] -= 1
    moments = sorted(change)
    counts = list(accumulate(change[moment] for moment in moments))
    most = max(counts, default=0)
    if most < 1:
        return None
    # Each count lasts until the next moment.
    full = [
        (begin_s, end_s)
        for (begin_s, end_s), count in zip(pairwise(moments), counts[:-1], strict=True)
        if count == most
    ]
    return Busy(
        begin_s=full[0][0], end_s=full[-1][1], length_s=sum(end_s - begin_s for begin_s, end_s in full)
    )


def steady(requests: Sequence[Request]) -> dict[str, float]:
    """How long all slots were busy, the requests that were wholly within that window, their mean latency, and
    their number per second in which all slots were busy.

    The drain is outside: a closed loop of n requests, c at a time, has n - c + 1 requests in the window. The
    start, at which c requests are due at once, is inside; the halves show what it does.
    """
    busy = all_slots_busy(requests)
    if busy is None:
        return {}
    inside = [r.latency_s for r in requests if r.scheduled_s >= busy.begin_s and r.done_s <= busy.end_s]
    values = {"steady_s": busy.length_s, "steady_requests": float(len(inside))}
    if inside:
        values["steady_latency_mean_s"] = statistics.fmean(inside)
        values["steady_throughput_requests_per_s"] = len(inside) / busy.length_s
    return values
