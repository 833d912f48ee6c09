"""What must balance in the record of a load: due times and responses, spans and requests, work and
time.

Each law is a function of the record's lines that yields one sentence per violation. A record that was edited,
or whose client skipped, repeated or replaced requests, breaks at least one of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vbench.config.arrivals import due_times_s, is_open
from vbench.config.schema import Config
from vbench.config.workload import APP, TRANSFERS, VIDEO, workload_of
from vbench.errors import ConfigError
from vbench.record.intervals import covered_s, merged, most_at_once
from vbench.record.link_caps import LinkCaps
from vbench.record.load_report import LoadReport
from vbench.record.measurements import Measurements
from vbench.record.network import LINK_TOLERANCE, Network
from vbench.record.requests import Request, SpanLine
from vbench.record.steady_window import makespan_s
from vbench.record.transfers import frame_bytes_by_route
from vbench.record.trial import Rule
from vbench.validity.as_configured import expected_of_replicas
from vbench.validity.catalog.load import AS_PLANNED, CLOSED_LOOP
from vbench.validity.catalog.record import NOT_OVERBUSY, SPANS_FIT
from vbench.validity.definition import RuleDefinition
from vbench.validity.first_problem import first_problem
from vbench.validity.served import tolerance_s
from vbench.validity.span_sets import incomplete

SAME_S = 1e-6
"""A request's due time is exactly another request's time of response: closer than two reads of a clock."""

MOST_BUSY = 1.05
"""Share of the measured time beyond which work is counted that was not done in it."""

SLOT_S = 0.005
"""Spans of one slot may overlap by this, the distance between two reads of a clock."""

BURST_BYTES = 2**17
"""A shaped flow may send a packet of 64 KiB at once, and so may the link that it is on."""


def judge(
    config: Config,
    load_report: LoadReport,
    measured: Measurements,
) -> Iterator[Rule]:
    """The laws as rules, as far as they apply to the kind of load."""
    requests, spans = measured.requests, measured.spans
    if not requests:
        return
    workload = workload_of(config)
    loop = [*indices(requests), *order(requests)]
    if workload == TRANSFERS:
        loop += [*one_at_a_time(requests), *each_pull_once(requests, config.load.warmup)]
    elif not is_open(config.load):
        loop += due_times(requests, config.load.concurrency)
    if is_open(config.load):
        loop += planned_times(requests, _plan_s(config))
        yield _verdict(AS_PLANNED, loop, f"{len(requests)} requests, each due when it was planned")
    else:
        yield _verdict(CLOSED_LOOP, loop, f"{len(requests)} requests, each due when another was answered")
    if workload == APP:
        return  # it records no spans
    off_s = tolerance_s(load_report)
    span_problems = [*within(requests, spans, off_s), *repeated(spans)]
    if workload == VIDEO:
        span_problems += incomplete(config, requests, spans, off_s)
    yield _verdict(SPANS_FIT, span_problems, f"{len(spans)} spans, each within its request")
    busy = [*overbusy(config, requests, spans)]
    if measured.network is not None:
        busy += too_fast(load_report, measured, measured.network)
    yield _verdict(NOT_OVERBUSY, busy, "decoders, models and links had enough time for their work")


def _verdict(rule: RuleDefinition, problems: Sequence[str], fine: str) -> Rule:
    return rule.verdict(passed=not problems, observed=first_problem(problems) if problems else fine)


def indices(requests: Sequence[Request]) -> Iterator[str]:
    """Indices are 0 to n - 1, once each."""
    counts = Counter(one.index for one in requests)
    for index, count in counts.items():
        if count > 1:
            yield f"request {index} is recorded {count} times"
    missing = sorted(set(range(max(counts) + 1)) - set(counts))
    if missing:
        yield f"request {missing[0]} is missing"
    if min(counts) < 0:
        yield f"a request has the index {min(counts)}"


def order(requests: Sequence[Request]) -> Iterator[str]:
    """A request is due, then sent, then done."""
    for one in requests:
        if one.sent_s < one.scheduled_s:
            yield f"request {one.index} was sent {one.scheduled_s - one.sent_s:.3f} s before it was due"
        if one.done_s <= one.sent_s:
            yield f"request {one.index} was done before it was sent"


def due_times(requests: Sequence[Request], concurrency: int) -> Iterator[str]:
    """At the start, ``concurrency`` requests are due; each further one is due when another is done."""
    start_s = min(one.scheduled_s for one in requests)
    first = [one for one in requests if one.scheduled_s - start_s <= SAME_S]
    wanted = min(concurrency, len(requests))
    if len(first) != wanted:
        yield f"{len(first)} requests were due at the start instead of {wanted}"
    done = sorted(one.done_s for one in requests)
    rest = sorted((one for one in requests if one not in first), key=lambda one: one.scheduled_s)
    at = 0
    for one in rest:
        while at < len(done) and done[at] < one.scheduled_s - SAME_S:
            at += 1
        if at < len(done) and abs(done[at] - one.scheduled_s) <= SAME_S:
            at += 1
        else:
            yield f"request {one.index} was due when no other request was done"


def _plan_s(config: Config) -> list[float] | None:
    """When requests were to be due; None for a trace that cannot be read any more."""
    try:
        return due_times_s(config.load, config.block)
    except ConfigError:
        return None


def planned_times(requests: Sequence[Request], plan_s: Sequence[float] | None) -> Iterator[str]:
    """Each request was due when the plan of its open load says, whatever became of those before it."""
    if plan_s is None:
        return
    if len(requests) != len(plan_s):
        yield f"{len(requests)} requests are recorded, and {len(plan_s)} were planned"
        return
    ordered = sorted(requests, key=lambda one: one.index)
    start_s = ordered[0].scheduled_s - plan_s[0]
    for one, planned_s in zip(ordered, plan_s, strict=True):
        off_s = one.scheduled_s - start_s - planned_s
        if abs(off_s) > SAME_S:
            yield f"request {one.index} was due {off_s:+.3f} s from its planned time"


def one_at_a_time(requests: Sequence[Request]) -> Iterator[str]:
    """Requests of a transfer follow each other."""
    ordered = sorted(requests, key=lambda one: one.index)
    for before, after in pairwise(ordered):
        if after.sent_s < before.done_s:
            yield f"request {after.index} was sent before request {before.index} was done"


def each_pull_once(requests: Sequence[Request], warm_up: int) -> Iterator[str]:
    """A transfer's receiver numbers its pulls: the requests follow those of the warm-up, in order and without
    a gap. A failed request does not report its number, and none comes after it."""
    for position, one in enumerate(sorted(requests, key=lambda one: one.index)):
        if one.error is not None:
            continue
        numbers = [call[0] for report in one.replicas for call in report.calls]
        expected = warm_up + 1 + position
        if numbers != [expected]:
            said = " and ".join(map(str, numbers)) or "(not recorded)"
            yield f"request {one.index} was the receiver's pull {said} instead of {expected}"


def within(requests: Sequence[Request], spans: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    """A span is between the sending of its request and its response, by clocks that are at most ``off_s``
    apart.

    Making the objects of a transfer is not judged: it ends before the request is sent.
    """
    by_index = {one.index: one for one in requests}
    for span in spans:
        request = by_index.get(span.request)
        what = f"a span of {span.stage} {span.kind} of request {span.request}"
        if request is None:
            yield f"{what} belongs to no recorded request"
            continue
        if span.replica == "Sender":
            continue
        done_unix_s = request.sent_unix_s + request.done_s - request.sent_s
        if span.start_s < request.sent_unix_s - off_s:
            yield f"{what} began {request.sent_unix_s - span.start_s:.3f} s before the request was sent"
        if span.end_s > done_unix_s + off_s:
            yield f"{what} ended {span.end_s - done_unix_s:.3f} s after the request was done"
        if span.end_s < span.start_s - off_s:
            yield f"{what} ended before it began"


def repeated(spans: Sequence[SpanLine]) -> Iterator[str]:
    """No interval of a replica's time is recorded twice."""
    seen: dict[tuple[object, ...], int] = {}
    for span in spans:
        if span.end_s == span.start_s:
            continue
        key = (span.stage, span.kind, span.replica, span.start_s, span.end_s)
        if key in seen:
            yield f"requests {seen[key]} and {span.request} have the same span of {span.stage} {span.kind}"
        seen[key] = span.request


def overbusy(config: Config, requests: Sequence[Request], spans: Sequence[SpanLine]) -> Iterator[str]:
    """A replica's compute fits into the measured time, and its spans into its slots.

    Spans of a model may overlap, since calls share batches: their union must fit.
    """
    measured_s = makespan_s(requests)
    slots = {"decode": expected_of_replicas(config)["VideoDecoder"]["at_once"]}
    own: dict[tuple[str, str], list[SpanLine]] = {}
    for span in spans:
        if span.kind == "compute" and span.stage in ("decode", "infer") and span.replica != "Sender":
            own.setdefault((span.stage, span.replica), []).append(span)
    for (stage, replica), lines in sorted(own.items()):
        places = slots.get(stage)
        busy_s = sum(s.end_s - s.start_s for s in lines) / places if places else covered_s(lines)
        if busy_s > MOST_BUSY * measured_s:
            yield f"{replica} was busy for {busy_s:.1f} s of {measured_s:.1f} s ({busy_s / measured_s:.0%})"
        if places and (most := most_at_once([(s.start_s, s.end_s) for s in lines], SLOT_S)) > places:
            yield f"{replica} worked on {most} chunks at once, but it has {places} slots"


def too_fast(load_report: LoadReport, measured: Measurements, network: Network) -> Iterator[str]:
    """Frames moved between nodes no faster than their connections and NICs allow.

    This compares the bytes that had to move with the time in which any transfer to the receiver was under
    way, with allowance for the links' tolerance and for one burst per connection and interval of that time.
    """
    caps_of = LinkCaps.of(network)
    links = {link.node: caps_of.highest(link.node) for link in network.links}
    connections = {(one.sender, one.receiver): one.established for one in load_report.connections}
    moving: dict[str, list[SpanLine]] = {}
    for span in measured.spans:
        if span.kind == "transfer" and span.stage != "chunk":
            moving.setdefault(span.node, []).append(span)
    try:
        routes = frame_bytes_by_route(measured.transfers)
    except ValueError as error:
        yield f"the transfers do not fit together: {error}"
        return
    for (sender, receiver), nbytes in routes.items():
        if not {sender, receiver} <= links.keys():
            yield f"frames moved from {sender} to {receiver}, between which there is no link"
            continue
        stretches = merged([(s.start_s, s.end_s) for s in moving.get(receiver, [])])
        moving_s = sum(end - start for start, end in stretches)
        count = connections.get((sender, receiver), 1)
        caps = (count * links[sender].flow_mbps, links[sender].nic_mbps, links[receiver].nic_mbps)
        at_once_bytes = len(stretches) * (count + 1) * BURST_BYTES
        allowed = (1 + LINK_TOLERANCE) * min(caps) / 8 * 1e6 * moving_s + at_once_bytes
        if nbytes > allowed:
            yield (
                f"{nbytes / 1e6:.1f} MB moved from {sender} to {receiver} in {moving_s:.2f} s,"
                f" {nbytes * 8e-6 / max(moving_s, 1e-9):.0f} Mbit/s over links of {min(caps):g} Mbit/s"
            )
