"""Ways of changing what a record says of its requests: which there are, their times and their spans."""

import random
from collections.abc import Callable
from dataclasses import replace

from tests.validity import honest
from tests.validity.honest import Record
from vbench.record.requests import Request

Change = Callable[[Record, random.Random], Record]
"""The record with a change at a place that is drawn."""


def one_of(record: Record, draw: random.Random) -> Request:
    return draw.choice(record.requests)


def later(record: Record, draw: random.Random) -> Request:
    """One that is not among the first."""
    start_s = min(one.scheduled_s for one in record.requests)
    return draw.choice([one for one in record.requests if one.scheduled_s > start_s])


def renumbered(record: Record, kept: list[Request]) -> Record:
    """With these requests alone, numbered anew, and their spans."""
    numbers = {one.index: number for number, one in enumerate(kept)}
    return replace(
        record,
        requests=[replace(one, index=numbers[one.index]) for one in kept],
        spans=[replace(s, request=numbers[s.request]) for s in record.spans if s.request in numbers],
    )


def fastest_half_kept(record: Record, draw: random.Random) -> Record:
    """And the last one: without it the rest can be all of a shorter trial, which has too few requests."""
    *rest, last = record.requests
    kept = sorted(rest, key=lambda one: one.latency_s)[: len(rest) // 2]
    return renumbered(record, [*sorted(kept, key=lambda one: one.index), last])


def one_left_out(record: Record, draw: random.Random) -> Record:
    gone = draw.choice(record.requests[:-1])
    return renumbered(record, [one for one in record.requests if one is not gone])


def one_twice(record: Record, draw: random.Random) -> Record:
    first, second = draw.sample(record.requests, 2)
    return replace(record, requests=[first if one is second else one for one in record.requests])


def one_copied_as_another(record: Record, draw: random.Random) -> Record:
    first, second = draw.sample(record.requests, 2)
    requests = [replace(first, index=second.index) if one is second else one for one in record.requests]
    spans = [s for s in record.spans if s.request != second.index]
    spans += [replace(s, request=second.index) for s in record.spans if s.request == first.index]
    return replace(record, requests=requests, spans=spans)


def due_times_reset(record: Record, draw: random.Random) -> Record:
    one = later(record, draw)
    return record.with_request(one.index, scheduled_s=one.sent_s)


def due_earlier(record: Record, draw: random.Random) -> Record:
    one = later(record, draw)
    return record.with_request(one.index, scheduled_s=one.scheduled_s - 0.01)


def timer_started_late(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    by_s = 0.1 + 0.5 * (one.done_s - one.sent_s)
    return record.with_request(one.index, sent_s=one.sent_s + by_s, sent_unix_s=one.sent_unix_s + by_s)


def timer_stopped_early(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    return record.with_request(one.index, done_s=one.sent_s + 0.4 * (one.done_s - one.sent_s))


def latencies_scaled(record: Record, draw: random.Random) -> Record:
    requests = [replace(one, done_s=one.scheduled_s + 0.8 * one.latency_s) for one in record.requests]
    return replace(record, requests=requests)


def span_invented(record: Record, draw: random.Random) -> Record:
    span = draw.choice([s for s in record.spans if s.kind == "compute"])
    return replace(record, spans=[*record.spans, replace(span, start_s=span.start_s + 0.001)])


def span_stretched(record: Record, draw: random.Random) -> Record:
    span = draw.choice([s for s in record.spans if s.kind == "compute"])
    longer = replace(span, end_s=span.end_s + 10.0)
    return replace(record, spans=[longer if s is span else s for s in record.spans])


def span_lost(record: Record, draw: random.Random) -> Record:
    span = draw.choice([s for s in record.spans if s.kind in ("compute", "transfer")])
    return replace(record, spans=[s for s in record.spans if s is not span])


def span_in_two_requests(record: Record, draw: random.Random) -> Record:
    spans = [s for s in record.spans if (s.stage, s.kind) == ("decode", "compute")]
    one = draw.choice(spans)
    other = draw.choice([s for s in spans if s.request != one.request])
    copied = replace(one, request=other.request, chunk=other.chunk)
    return replace(record, spans=[copied if s is other else s for s in record.spans])


def work_looked_up(stage: str) -> Change:
    """A stage that gives what it had from another request."""

    def change(record: Record, draw: random.Random) -> Record:
        one = one_of(record, draw)
        spans = [
            replace(s, end_s=s.start_s + 1e-4)
            if (s.request, s.stage, s.kind) == (one.index, stage, "compute")
            else s
            for s in record.spans
        ]
        return replace(record, spans=spans)

    return change


def one_chunk_looked_up(stage: str) -> Change:
    """All others of the request are computed, so that its sum is large enough."""

    def change(record: Record, draw: random.Random) -> Record:
        one = draw.choice([s for s in record.spans if (s.stage, s.kind) == (stage, "compute")])
        short = replace(one, end_s=one.start_s + 1e-5)
        return replace(record, spans=[short if s is one else s for s in record.spans])

    return change


def times_scaled(record: Record, draw: random.Random) -> Record:
    """All that the load process wrote, as if its clock had run at another rate."""
    start_s = min(one.scheduled_s for one in record.requests)
    factor = draw.choice([0.5, 0.7, 1.5])

    def scaled(at_s: float) -> float:
        return start_s + factor * (at_s - start_s)

    def unix(at_s: float | None) -> float:
        return honest.UNIX_S + scaled((at_s or 0.0) - honest.UNIX_S)

    requests = [
        replace(
            one,
            scheduled_s=scaled(one.scheduled_s),
            sent_s=scaled(one.sent_s),
            done_s=scaled(one.done_s),
            sent_unix_s=unix(one.sent_unix_s),
            received_s=unix(one.received_s),
            finished_s=unix(one.finished_s),
        )
        for one in record.requests
    ]
    spans = [replace(s, start_s=scaled(s.start_s), end_s=scaled(s.end_s)) for s in record.spans]
    return replace(record, requests=requests, spans=spans)


def measured_twice(record: Record, draw: random.Random) -> Record:
    """And the better loop recorded."""
    phases_s = {**record.load_report.phases_s, "measure": 2 * record.load_report.phases_s["measure"] + 5.0}
    return replace(record, load_report=replace(record.load_report, phases_s=phases_s))


def in_one(**changes: object) -> Change:
    """A fact of one request that does not go with the others, or with the clip."""
    return lambda record, draw: record.with_request(one_of(record, draw).index, **changes)


def another_chunk(record: Record, draw: random.Random) -> Record:
    one = draw.choice([s for s in record.spans if (s.stage, s.kind) == ("decode", "transfer")])
    smaller = replace(one, bytes=one.bytes // 2)
    return replace(record, spans=[smaller if s is one else s for s in record.spans])


def same_video_again(record: Record, draw: random.Random) -> Record:
    one = draw.choice(record.requests[1:])
    return record.with_request(one.index, video=record.requests[one.index - 1].video)
