"""Each way of changing a record, or what it is a record of, breaks the rule that names the cause."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validity import honest
from tests.validity.honest import Record
from tests.validity.test_honest_records import broken
from vbench.pipeline.reports import CallWork
from vbench.record.load_report import Listener, PlacedReplica
from vbench.record.requests import Request
from vbench.validity.as_configured import expected_settings
from vbench.validity.rules import judge

LOOP = "the requests are those of one closed loop"
SPANS = "the spans are those of the requests"
BUSY = "nothing was busy for longer than the measured time"
ANSWERED = "this trial's deployment answered"
REPLICAS = "all work was done by this trial's replicas"
PORT = "only this trial's proxy took connections"
SETTINGS = "the service ran with the configured settings"
SIZED = "the configured replicas ran"
BATCHES = "batches were of the configured size"
IN_FLIGHT = "the configured number of requests was in flight"
TIMES = "client and service agree on the times"
SERVED = "the service had only the recorded requests"
VARIED = "consecutive requests asked for different videos"
COMPUTED = "each request was computed again"
WORKED = "every replica worked"
CONSISTENT = "the record is consistent"
MEASURED = "other processes saw the same measured time"
OF_SERVICE = "the latency is the service's own"

Change = Callable[[Record, random.Random], Record]


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


def replica_elsewhere(record: Record, draw: random.Random) -> Record:
    span = draw.choice(record.spans)
    away = replace(span, node="elsewhere")
    return replace(record, spans=[away if s is span else s for s in record.spans])


def other_deployment(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    replicas = [replace(each, deployment_id="another") for each in one.replicas]
    return record.with_request(one.index, replicas=replicas)


def no_deployment_said(record: Record, draw: random.Random) -> Record:
    return record.with_request(one_of(record, draw).index, replicas=[])


def retried(record: Record, draw: random.Random) -> Record:
    """One more call of every replica after a request, in which the client got no answer."""
    one = later(record, draw)

    def numbered(request: Request) -> list[object]:
        after = request.scheduled_s >= one.scheduled_s
        return [
            replace(each, calls=[(number + after, *rest) for number, *rest in each.calls])
            for each in request.replicas
        ]

    return replace(record, requests=[replace(each, replicas=numbered(each)) for each in record.requests])


def asked_by_others(record: Record, draw: random.Random) -> Record:
    return record.with_graph(served_before={"VideoProcessingAPI#a": record.graph.warm_up_requests - 1})


def refused_by_the_api(record: Record, draw: random.Random) -> Record:
    """After the last recorded request came in, others did that the API refused."""
    last = max(record.requests, key=lambda one: one.done_s)
    return record.with_request(last.index, api_requests=(last.api_requests or 0) + 50)


def answered_by_the_proxy(record: Record, draw: random.Random) -> Record:
    """Paths that the proxy knows itself, or refuses."""
    last = max(record.requests, key=lambda one: one.done_s)
    return record.with_request(last.index, proxy_requests=(last.proxy_requests or 0) + 50)


def setting(name: str, value: object) -> Change:
    def change(record: Record, draw: random.Random) -> Record:
        one = one_of(record, draw)
        return record.with_request(one.index, settings={**one.settings, name: value})

    return change


def of_replica(deployment: str, name: str, value: object) -> Change:
    def change(record: Record, draw: random.Random) -> Record:
        one = one_of(record, draw)
        replicas = [
            replace(each, settings={**each.settings, name: value})
            if each.replica.startswith(deployment)
            else each
            for each in one.replicas
        ]
        return record.with_request(one.index, replicas=replicas)

    return change


def smaller_batches(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    replicas = [
        replace(each, calls=[(n, frames, frames) for n, frames, _ in each.calls])
        if each.replica.startswith("ModelInference")
        else each
        for each in one.replicas
    ]
    return record.with_request(one.index, replicas=replicas)


def work_of(deployment: str, changed: Callable[[CallWork], CallWork]) -> Change:
    """What was seen of the work on one call is otherwise."""

    def change(record: Record, draw: random.Random) -> Record:
        one = one_of(record, draw)
        (own,) = [each for each in one.replicas if each.replica.startswith(deployment)]
        at = draw.randrange(len(own.work))
        work = [changed(each) if place == at else each for place, each in enumerate(own.work)]
        replicas = [replace(each, work=work) if each is own else each for each in one.replicas]
        return record.with_request(one.index, replicas=replicas)

    return change


def halved(work: CallWork) -> CallWork:
    """Each batch in two passes."""
    passes = [(number, half) for number, size in work.passes for half in (size - size // 2, size // 2)]
    return replace(work, passes=passes)


def one_by_one(work: CallWork) -> CallWork:
    return replace(work, passes=[(number, 1) for number, size in work.passes for _ in range(size)])


def half_full(work: CallWork) -> CallWork:
    """Half of the frames are given to the network."""
    return replace(work, passes=[(number, size // 2) for number, size in work.passes])


def without_a_pass(work: CallWork) -> CallWork:
    return replace(work, passes=work.passes[1:])


def small_batches_reported(record: Record, draw: random.Random) -> Record:
    """Batcher and network both have half batches, of calls that fit into one."""
    record.config.model.batch_size = 4 if record.config.mode == "chunked" else 16
    one = one_of(record, draw)
    (own,) = [each for each in one.replicas if each.replica.startswith("ModelInference")]
    first = own.work[0].passes[0][0]
    frames = own.calls[0][1]
    parts = [(first, frames // 2), (first + 1, frames - frames // 2)]
    calls = [(own.calls[0][0], frames, 2), *own.calls[1:]]
    other = replace(own, calls=calls, work=[replace(own.work[0], passes=parts), *own.work[1:]])
    return record.with_request(one.index, replicas=[other if each is own else each for each in one.replicas])


def passes_of_others(record: Record, draw: random.Random) -> Record:
    """The network ran once more than its calls account for, between two requests."""
    one = later(record, draw)

    def moved(request: Request) -> list[object]:
        by = request.scheduled_s >= one.scheduled_s
        return [
            replace(
                each,
                work=[
                    replace(work, passes=[(number + by, size) for number, size in work.passes])
                    for work in each.work
                ],
            )
            for each in request.replicas
        ]

    return replace(record, requests=[replace(each, replicas=moved(each)) for each in record.requests])


def flow(**configured: object) -> Change:
    """The service worked as the honest record says, and was configured otherwise, as its settings say."""

    def change(record: Record, draw: random.Random) -> Record:
        for name, value in configured.items():
            setattr(record.config.pipeline, name, value)
        said = expected_settings(record.config)
        requests = [replace(one, settings={**one.settings, **said}) for one in record.requests]
        return replace(record, requests=requests)

    return change


def all_chunks_at_once(record: Record, draw: random.Random) -> Record:
    """A window without bound: all chunks of a request are split as it begins."""
    first_s = {
        span.request: span.start_s
        for span in record.spans
        if (span.stage, span.kind, span.chunk) == ("chunk", "compute", 0)
    }
    spans = [
        replace(s, start_s=first_s[s.request] + 1e-4, end_s=first_s[s.request] + 2e-4)
        if (s.stage, s.kind) == ("chunk", "compute") and s.chunk
        else s
        for s in record.spans
    ]
    record.config.pipeline.window = 2
    said = expected_settings(record.config)
    requests = [replace(one, settings={**one.settings, **said}) for one in record.requests]
    return replace(record, spans=spans, requests=requests)


def one_decoder_missing(record: Record, draw: random.Random) -> Record:
    record.config.cluster.deployments.decoder.replicas = 2
    return record


def replica_restarted(record: Record, draw: random.Random) -> Record:
    new = PlacedReplica(replica="VideoDecoder#new", node="head")
    after = [one for one in record.graph.replicas_after if one.deployment != "VideoDecoder"]
    return record.with_graph(replicas_after=[*after, new])


def another_listens(record: Record, draw: random.Random) -> Record:
    other = Listener(pid=9, command="python server.py", own=False, present_percent=40.0)
    return record.with_graph(listeners=[*record.graph.listeners, other])


def nobody_listens(record: Record, draw: random.Random) -> Record:
    return record.with_graph(listeners=[])


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


def all_work_by_one_decoder(record: Record, draw: random.Random) -> Record:
    idle = PlacedReplica(replica="VideoDecoder#idle", node="head")
    record.config.cluster.deployments.decoder.replicas = 2
    placed = [*record.graph.replicas_before, idle]
    return record.with_graph(replicas_before=placed, replicas_after=placed)


def decoder_misplaced(record: Record, draw: random.Random) -> Record:
    record.config.cluster.deployments.decoder.resources = {"another": 0.001}
    return record


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


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "the fastest half kept": (fastest_half_kept, {SERVED}),
    "one left out": (one_left_out, {SERVED}),
    "one recorded twice": (one_twice, {LOOP}),
    "one copied as another": (one_copied_as_another, {SPANS, SERVED}),
    "due times reset": (due_times_reset, {LOOP}),
    "due earlier": (due_earlier, {LOOP}),
    "timer started late": (timer_started_late, {TIMES, SPANS}),
    "timer stopped early": (timer_stopped_early, {TIMES}),
    "latencies scaled": (latencies_scaled, {LOOP}),
    "span invented": (span_invented, {SPANS}),
    "span stretched": (span_stretched, {SPANS}),
    "span lost": (span_lost, {SPANS}),
    "span in two requests": (span_in_two_requests, {SPANS}),
    "replica elsewhere": (replica_elsewhere, {REPLICAS}),
    "another deployment": (other_deployment, {ANSWERED}),
    "no deployment said": (no_deployment_said, {ANSWERED}),
    "retried": (retried, {SERVED}),
    "asked by others": (asked_by_others, {SERVED}),
    "refused by the API": (refused_by_the_api, {SERVED}),
    "answered by the proxy": (answered_by_the_proxy, {SERVED}),
    "other mode": (setting("mode", "another"), {SETTINGS}),
    "pruning off": (setting("prune", False), {SETTINGS}),
    "other hand-off": (setting("handoff", "another"), {SETTINGS}),
    "other chunks": (setting("chunk_s", "7"), {SETTINGS}),
    "other frame rate": (setting("fps", "1/2"), {SETTINGS}),
    "other model": (setting("model_fingerprint", "0" * 64), {SETTINGS}),
    "other batch size": (of_replica("ModelInference", "batch_size", 1), {SETTINGS}),
    "other precision": (of_replica("ModelInference", "precision", "fp16"), {SETTINGS}),
    "other device": (of_replica("ModelInference", "device", "cuda"), {SETTINGS}),
    "other threads": (of_replica("VideoDecoder", "threads", 7), {SETTINGS}),
    "smaller batches": (smaller_batches, {BATCHES}),
    "other threads in the pass": (of_replica("ModelInference", "threads", "1, 8"), {SETTINGS}),
    "other threads of the model": (of_replica("ModelInference", "threads", 8), {SETTINGS}),
    "half the resolution": (of_replica("ModelInference", "input", "320x180"), {SETTINGS}),
    "gradients kept": (of_replica("ModelInference", "inference_mode", False), {SETTINGS}),
    "not compiled": (of_replica("ModelInference", "compile", True), {SETTINGS}),
    "other batch wait": (of_replica("ModelInference", "batch_wait_ms", 5.0), {SETTINGS}),
    "other pixel format": (of_replica("VideoDecoder", "pixel_format", "yuv420p"), {SETTINGS}),
    "other hardware": (of_replica("VideoDecoder", "hwaccel", "vaapi"), {SETTINGS}),
    "halves of batches": (work_of("ModelInference", halved), {BATCHES}),
    "frames one by one": (work_of("ModelInference", one_by_one), {BATCHES}),
    "half of a batch": (work_of("ModelInference", half_full), {BATCHES}),
    "a batch without a pass": (work_of("ModelInference", without_a_pass), {BATCHES}),
    "small batches that are reported": (small_batches_reported, {BATCHES}),
    "passes of others": (passes_of_others, {BATCHES}),
    "a pass looked up": (
        work_of("ModelInference", lambda work: replace(work, pass_cpu_ms=0.05)),
        {COMPUTED},
    ),
    "a chunk from memory": (
        work_of("VideoDecoder", lambda work: replace(work, decoder_cpu_ms=None)),
        {COMPUTED},
    ),
    "a chunk from an idle FFmpeg": (
        work_of("VideoDecoder", lambda work: replace(work, decoder_cpu_ms=0.4)),
        {COMPUTED},
    ),
    "chunks half as long": (flow(chunk_s=2.0), {SPANS}),
    "chunks twice as long": (flow(chunk_s=0.5), {SPANS}),
    "a window without bound": (all_chunks_at_once, {SPANS}),
    "one decoder of two": (one_decoder_missing, {SIZED}),
    "a replica restarted": (replica_restarted, {REPLICAS}),
    "another listens": (another_listens, {PORT}),
    "nobody listens": (nobody_listens, {PORT}),
    "the same video again": (same_video_again, {VARIED}),
    "frames looked up": (work_looked_up("decode"), {COMPUTED}),
    "detections looked up": (work_looked_up("infer"), {COMPUTED}),
    "one chunk looked up": (one_chunk_looked_up("decode"), {COMPUTED}),
    "times scaled": (times_scaled, {MEASURED}),
    "measured twice": (measured_twice, {MEASURED}),
    "all work by one decoder": (all_work_by_one_decoder, {WORKED}),
    "a decoder misplaced": (decoder_misplaced, {SIZED}),
    "another status": (in_one(status=500), {CONSISTENT}),
    "a mismatch and no wrong frame": (in_one(mismatch="frame 3"), {CONSISTENT}),
    "a frame less": (in_one(frames_got=3), {CONSISTENT}),
    "more frames expected": (in_one(frames_expected=99), {CONSISTENT}),
    "an unknown video": (in_one(video="another"), {CONSISTENT}),
    "a longer video": (in_one(video_s=40.0), {CONSISTENT}),
    "another chunk": (another_chunk, {CONSISTENT}),
}


@pytest.mark.parametrize("name", CHANGES)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**20),
    concurrency=st.integers(1, 3),
    mode=st.sampled_from(["chunked", "combined"]),
    handoff=st.sampled_from(["direct", "relay"]),
)
def test_a_change_breaks_the_rule_that_names_it(
    name: str, seed: int, concurrency: int, mode: str, handoff: str
) -> None:
    change, rules = CHANGES[name]
    record = honest.record(
        requests=8, concurrency=concurrency, mode=mode, handoff=handoff, chunks=4, seed=seed
    )
    found = {line.partition(":")[0] for line in broken(change(record, random.Random(seed)))}
    assert rules <= found


def one_in_flight(record: Record) -> Record:
    """The client sent one at a time where it was to have four in flight."""
    alone = honest.record(requests=8, concurrency=1)
    return replace(alone, config=record.config)


def test_fewer_requests_in_flight_than_configured_break_their_rules() -> None:
    found = {
        line.partition(":")[0] for line in broken(one_in_flight(honest.record(requests=8, concurrency=4)))
    }
    assert {LOOP, IN_FLIGHT} <= found


def test_a_rate_above_that_of_the_links_breaks_the_rule() -> None:
    record = honest.record(shaped=True)
    assert record.network is not None
    slower = [replace(link, flow_mbps=0.001, nic_mbps=0.001) for link in record.network.links]
    # So many bytes that no burst lets them pass.
    spans = [replace(s, bytes=s.bytes * 1000) for s in record.spans]
    changed = replace(record, spans=spans, network=replace(record.network, links=slower))
    assert any(line.startswith(BUSY) and "Mbit/s over links" in line for line in broken(changed))


def test_a_replica_that_works_on_two_chunks_at_once_breaks_the_rule() -> None:
    record = honest.record(requests=6, concurrency=3)
    first_s = min(s.start_s for s in record.spans)
    moved = [
        replace(s, start_s=first_s, end_s=first_s + 50.0) if (s.stage, s.kind) == ("decode", "compute") else s
        for s in record.spans
    ]
    found = broken(replace(record, spans=moved))
    assert any(line.startswith(BUSY) and "was busy for" in line for line in found)


def test_clocks_that_are_known_to_be_apart_are_allowed_for() -> None:
    record = honest.record()
    ahead = [
        replace(one, received_s=(one.received_s or 0) - 0.03, finished_s=(one.finished_s or 0) - 0.03)
        for one in record.requests
    ]
    changed = replace(record, requests=ahead)
    assert any(line.startswith(TIMES) for line in broken(changed))
    apart = replace(changed.load_report, clocks_off_s={"head": 0.0, "gpu": -0.015})
    assert not any(line.startswith(TIMES) for line in broken(replace(changed, load_report=apart)))


def test_a_record_that_does_not_say_what_was_deployed_is_not_valid() -> None:
    record = honest.record()
    changed = replace(record, load_report=replace(record.load_report, graph=None))
    assert any(line.startswith(ANSWERED) for line in broken(changed))


def test_a_client_that_waits_before_it_sends_or_reads_breaks_the_rule() -> None:
    for client_late_s in ((0.4, 0.0), (0.0, 0.4)):
        found = broken(honest.record(requests=8, concurrency=2, client_late_s=client_late_s))
        assert [line.partition(":")[0] for line in found] == [OF_SERVICE]


def test_a_video_has_the_same_frames_each_time() -> None:
    record = honest.record(requests=8)
    assert any(line.startswith(CONSISTENT) for line in broken(record.with_request(3, digest="d2")))


def test_a_detector_other_than_the_references_breaks_the_rule() -> None:
    record = honest.record()
    other = replace(record, clip=replace(record.clip, served_detector="0" * 64))
    assert any(line.startswith(CONSISTENT) for line in broken(other))


def test_a_record_that_no_rule_can_read_is_not_valid() -> None:
    """Rather than one that no rule judges."""
    record = honest.record()
    requests = [
        replace(one, replicas=[replace(each, calls=[]) for each in one.replicas]) for one in record.requests
    ]
    changed = replace(record, requests=requests)
    found = judge(changed.config, changed.load_report, replace(changed.measured, network=None))
    (rule,) = [rule for rule in found if rule.name == "the record can be judged"]
    assert not rule.passed


def test_decodes_that_cost_too_little_cpu_break_the_rule() -> None:
    """Each FFmpeg ran, and none decoded what the request has."""
    record = honest.record()
    one = record.requests[2]
    replicas = [
        replace(each, work=[replace(work, decoder_cpu_ms=12.0) for work in each.work])
        if each.replica.startswith("VideoDecoder")
        else each
        for each in one.replicas
    ]
    found = broken(record.with_request(one.index, replicas=replicas))
    assert [line for line in found if "FFmpeg took 3.00 ms of CPU per frame of request 2" in line]


def test_calls_that_share_a_batch_have_its_pass_together() -> None:
    record = honest.record(requests=2, concurrency=2, chunks=2)
    record.config.model.batch_size = 8
    number, requests = 5, []
    for one in record.requests:
        replicas = [
            replace(each, work=[replace(work, passes=[(number, 8)]) for work in each.work])
            if each.replica.startswith("ModelInference")
            else each
            for each in one.replicas
        ]
        requests.append(replace(one, replicas=replicas))
        number += 1
    assert broken(replace(record, requests=requests)) == []


@pytest.mark.parametrize("change", [{"compile": True}, {"device": "cuda"}])
def test_passes_that_are_filled_up_may_have_more_frames_than_their_calls(change: dict[str, object]) -> None:
    record = honest.record()
    for name, value in change.items():
        setattr(record.config.model, name, value)

    def filled(request: Request) -> list[object]:
        return [
            replace(
                each,
                settings={**each.settings, **(change if each.work else {})},
                work=[replace(work, passes=[(number, 8) for number, _ in work.passes]) for work in each.work],
            )
            for each in request.replicas
        ]

    changed = replace(record, requests=[replace(one, replicas=filled(one)) for one in record.requests])
    assert broken(changed) == []


def test_a_record_of_before_the_work_was_watched_breaks_none_of_its_rules() -> None:
    record = honest.record()
    requests = [
        replace(one, replicas=[replace(each, work=[]) for each in one.replicas]) for one in record.requests
    ]
    assert broken(replace(record, requests=requests)) == []


def test_overlap_shows_in_the_spans() -> None:
    record = honest.record(requests=4, concurrency=1, chunks=4)
    waits = [
        replace(s, start_s=s.start_s - 1e-4, end_s=s.start_s)
        for s in record.spans
        if (s.stage, s.kind) == ("infer", "queue")
    ]
    held = broken(replace(record, spans=[*record.spans, *waits]))
    assert any("held back until all were decoded" in line for line in held)

    without = flow(overlap=False)(record, random.Random(1))
    assert any("inferred while others were decoded" in line for line in broken(without))
