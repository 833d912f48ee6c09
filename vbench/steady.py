"""Start, steady window and drain of a closed loop: its makespan and halves, and when all slots were busy."""

import statistics
from collections import Counter
from collections.abc import Sequence

from vbench.record import Request


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


def window(requests: Sequence[Request]) -> tuple[float, float] | None:
    """From the first to the last moment, in the client's monotonic seconds, at which all slots were busy.

    The number of slots is the most requests that were due and not answered at one moment. None for no
    request, and if the window has no length.
    """
    change: Counter[float] = Counter()
    for request in requests:
        change[request.scheduled_s] += 1
        # One that is due when another is answered takes its slot: both happen at that moment.
        change[request.done_s] -= 1
    moments = sorted(change)
    in_flight, counts = 0, []
    for moment in moments:
        in_flight += change[moment]
        counts.append(in_flight)
    most = max(counts, default=0)
    if most < 1:
        return None
    full = [at for at, count in enumerate(counts) if count == most]
    # Each count lasts until the next moment.
    begin_s, end_s = moments[full[0]], moments[full[-1] + 1]
    return (begin_s, end_s) if end_s > begin_s else None


def steady(requests: Sequence[Request]) -> dict[str, float]:
    """Over the window in which all slots were busy: its length, the requests wholly within it, their mean
    latency, and their number over the window's length.

    The drain is outside: a closed loop of n requests, c at a time, has n - c + 1 requests in the window. The
    start, at which c requests are due at once, is inside; the halves show what it does.
    """
    bounds = window(requests)
    if bounds is None:
        return {}
    begin_s, end_s = bounds
    inside = [r.latency_s for r in requests if r.scheduled_s >= begin_s and r.done_s <= end_s]
    found = {"steady_s": end_s - begin_s, "steady_requests": float(len(inside))}
    if inside:
        found["steady_latency_mean_s"] = statistics.fmean(inside)
        found["steady_throughput_requests_per_s"] = len(inside) / (end_s - begin_s)
    return found
