"""Each way of changing a record, or what it is a record of, breaks the rule that names the cause."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validity import honest, request_changes, service_changes
from tests.validity.honest import Record
from tests.validity.request_changes import Change
from tests.validity.rule_names import (
    ANSWERED,
    BATCHES,
    BUSY,
    COMPUTED,
    CONSISTENT,
    IN_FLIGHT,
    LOOP,
    MEASURED,
    OF_SERVICE,
    PORT,
    REPLICAS,
    SERVED,
    SETTINGS,
    SIZED,
    SPANS,
    TIMES,
    VARIED,
    WORKED,
)
from tests.validity.test_honest_records import broken
from vbench.record.requests import Request
from vbench.validity.rules import judge

CHANGES: dict[str, tuple[Change, set[str]]] = {
    "the fastest half kept": (request_changes.fastest_half_kept, {SERVED}),
    "one left out": (request_changes.one_left_out, {SERVED}),
    "one recorded twice": (request_changes.one_twice, {LOOP}),
    "one copied as another": (request_changes.one_copied_as_another, {SPANS, SERVED}),
    "due times reset": (request_changes.due_times_reset, {LOOP}),
    "due earlier": (request_changes.due_earlier, {LOOP}),
    "timer started late": (request_changes.timer_started_late, {TIMES, SPANS}),
    "timer stopped early": (request_changes.timer_stopped_early, {TIMES}),
    "latencies scaled": (request_changes.latencies_scaled, {LOOP}),
    "span invented": (request_changes.span_invented, {SPANS}),
    "span stretched": (request_changes.span_stretched, {SPANS}),
    "span lost": (request_changes.span_lost, {SPANS}),
    "span in two requests": (request_changes.span_in_two_requests, {SPANS}),
    "replica elsewhere": (service_changes.replica_elsewhere, {REPLICAS}),
    "another deployment": (service_changes.other_deployment, {ANSWERED}),
    "no deployment said": (service_changes.no_deployment_said, {ANSWERED}),
    "retried": (service_changes.retried, {SERVED}),
    "asked by others": (service_changes.asked_by_others, {SERVED}),
    "refused by the API": (service_changes.refused_by_the_api, {SERVED}),
    "answered by the proxy": (service_changes.answered_by_the_proxy, {SERVED}),
    "other mode": (service_changes.setting("mode", "another"), {SETTINGS}),
    "pruning off": (service_changes.setting("prune", False), {SETTINGS}),
    "other hand-off": (service_changes.setting("handoff", "another"), {SETTINGS}),
    "other chunks": (service_changes.setting("chunk_s", "7"), {SETTINGS}),
    "other frame rate": (service_changes.setting("fps", "1/2"), {SETTINGS}),
    "other model": (service_changes.setting("model_fingerprint", "0" * 64), {SETTINGS}),
    "other batch size": (service_changes.of_replica("ModelInference", "batch_size", 1), {SETTINGS}),
    "other precision": (service_changes.of_replica("ModelInference", "precision", "fp16"), {SETTINGS}),
    "other device": (service_changes.of_replica("ModelInference", "device", "cuda"), {SETTINGS}),
    "other threads": (service_changes.of_replica("VideoDecoder", "threads", 7), {SETTINGS}),
    "smaller batches": (service_changes.smaller_batches, {BATCHES}),
    "other threads in the pass": (
        service_changes.of_replica("ModelInference", "threads", "1, 8"),
        {SETTINGS},
    ),
    "other threads of the model": (service_changes.of_replica("ModelInference", "threads", 8), {SETTINGS}),
    "half the resolution": (service_changes.of_replica("ModelInference", "input", "320x180"), {SETTINGS}),
    "gradients kept": (service_changes.of_replica("ModelInference", "inference_mode", False), {SETTINGS}),
    "not compiled": (service_changes.of_replica("ModelInference", "compile", True), {SETTINGS}),
    "other batch wait": (service_changes.of_replica("ModelInference", "batch_wait_ms", 5.0), {SETTINGS}),
    "other pixel format": (service_changes.of_replica("VideoDecoder", "pixel_format", "yuv420p"), {SETTINGS}),
    "other hardware": (service_changes.of_replica("VideoDecoder", "hwaccel", "vaapi"), {SETTINGS}),
    "halves of batches": (service_changes.work_of("ModelInference", service_changes.halved), {BATCHES}),
    "frames one by one": (service_changes.work_of("ModelInference", service_changes.one_by_one), {BATCHES}),
    "half of a batch": (service_changes.work_of("ModelInference", service_changes.half_full), {BATCHES}),
    "a batch without a pass": (
        service_changes.work_of("ModelInference", service_changes.without_a_pass),
        {BATCHES},
    ),
    "small batches that are reported": (service_changes.small_batches_reported, {BATCHES}),
    "passes of others": (service_changes.passes_of_others, {BATCHES}),
    "a pass looked up": (
        service_changes.work_of("ModelInference", lambda work: replace(work, pass_cpu_ms=0.05)),
        {COMPUTED},
    ),
    "a chunk from memory": (
        service_changes.work_of("VideoDecoder", lambda work: replace(work, decoder_cpu_ms=None)),
        {COMPUTED},
    ),
    "a chunk from an idle FFmpeg": (
        service_changes.work_of("VideoDecoder", lambda work: replace(work, decoder_cpu_ms=0.4)),
        {COMPUTED},
    ),
    "chunks half as long": (service_changes.flow(chunk_s=2.0), {SPANS}),
    "chunks twice as long": (service_changes.flow(chunk_s=0.5), {SPANS}),
    "a window without bound": (service_changes.all_chunks_at_once, {SPANS}),
    "one decoder of two": (service_changes.one_decoder_missing, {SIZED}),
    "a replica restarted": (service_changes.replica_restarted, {REPLICAS}),
    "another listens": (service_changes.another_listens, {PORT}),
    "nobody listens": (service_changes.nobody_listens, {PORT}),
    "the same video again": (request_changes.same_video_again, {VARIED}),
    "frames looked up": (request_changes.work_looked_up("decode"), {COMPUTED}),
    "detections looked up": (request_changes.work_looked_up("infer"), {COMPUTED}),
    "one chunk looked up": (request_changes.one_chunk_looked_up("decode"), {COMPUTED}),
    "times scaled": (request_changes.times_scaled, {MEASURED}),
    "measured twice": (request_changes.measured_twice, {MEASURED}),
    "all work by one decoder": (service_changes.all_work_by_one_decoder, {WORKED}),
    "a decoder misplaced": (service_changes.decoder_misplaced, {SIZED}),
    "another status": (request_changes.in_one(status=500), {CONSISTENT}),
    "a mismatch and no wrong frame": (request_changes.in_one(mismatch="frame 3"), {CONSISTENT}),
    "a frame less": (request_changes.in_one(frames_got=3), {CONSISTENT}),
    "more frames expected": (request_changes.in_one(frames_expected=99), {CONSISTENT}),
    "an unknown video": (request_changes.in_one(video="another"), {CONSISTENT}),
    "a longer video": (request_changes.in_one(video_s=40.0), {CONSISTENT}),
    "another chunk": (request_changes.another_chunk, {CONSISTENT}),
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
    broken_rules = {line.partition(":")[0] for line in broken(change(record, random.Random(seed)))}
    assert rules <= broken_rules


def one_in_flight(record: Record) -> Record:
    """The client sent one at a time where it was to have four in flight."""
    alone = honest.record(requests=8, concurrency=1)
    return replace(alone, config=record.config)


def test_fewer_requests_in_flight_than_configured_break_their_rules() -> None:
    broken_rules = {
        line.partition(":")[0] for line in broken(one_in_flight(honest.record(requests=8, concurrency=4)))
    }
    assert {LOOP, IN_FLIGHT} <= broken_rules


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
    broken_rules = broken(replace(record, spans=moved))
    assert any(line.startswith(BUSY) and "was busy for" in line for line in broken_rules)


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
        broken_rules = broken(honest.record(requests=8, concurrency=2, client_late_s=client_late_s))
        assert [line.partition(":")[0] for line in broken_rules] == [OF_SERVICE]


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
        replace(one, replicas=[replace(replica, calls=[]) for replica in one.replicas])
        for one in record.requests
    ]
    changed = replace(record, requests=requests)
    rules = judge(changed.config, changed.load_report, replace(changed.measured, network=None))
    (rule,) = [rule for rule in rules if rule.name == "the record can be judged"]
    assert not rule.passed


def test_decodes_that_cost_too_little_cpu_break_the_rule() -> None:
    """Each FFmpeg ran, and none decoded what the request has."""
    record = honest.record()
    one = record.requests[2]
    replicas = [
        replace(replica, work=[replace(work, decoder_cpu_ms=12.0) for work in replica.work])
        if replica.replica.startswith("VideoDecoder")
        else replica
        for replica in one.replicas
    ]
    broken_rules = broken(record.with_request(one.index, replicas=replicas))
    assert [line for line in broken_rules if "FFmpeg took 3.00 ms of CPU per frame of request 2" in line]


def test_calls_that_share_a_batch_have_its_pass_together() -> None:
    record = honest.record(requests=2, concurrency=2, chunks=2)
    record.config.model.batch_size = 8
    number, requests = 5, []
    for one in record.requests:
        replicas = [
            replace(replica, work=[replace(work, passes=[(number, 8)]) for work in replica.work])
            if replica.replica.startswith("ModelInference")
            else replica
            for replica in one.replicas
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
                replica,
                settings={**replica.settings, **(change if replica.work else {})},
                work=[
                    replace(work, passes=[(number, 8) for number, _ in work.passes]) for work in replica.work
                ],
            )
            for replica in request.replicas
        ]

    changed = replace(record, requests=[replace(one, replicas=filled(one)) for one in record.requests])
    assert broken(changed) == []


def test_a_record_of_before_the_work_was_watched_breaks_none_of_its_rules() -> None:
    record = honest.record()
    requests = [
        replace(one, replicas=[replace(replica, work=[]) for replica in one.replicas])
        for one in record.requests
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

    without = service_changes.flow(overlap=False)(record, random.Random(1))
    assert any("inferred while others were decoded" in line for line in broken(without))
