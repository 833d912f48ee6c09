"""Ways of changing what a record says of the service: who worked, with which settings, batches and flow."""

import random
from collections.abc import Callable
from dataclasses import replace

from tests.validity.honest import Record
from tests.validity.request_changes import Change, later, one_of
from vbench.pipeline.reports import CallWork
from vbench.record.load_report import Listener, PlacedReplica
from vbench.record.requests import Request
from vbench.validity.as_configured import expected_settings


def replica_elsewhere(record: Record, draw: random.Random) -> Record:
    span = draw.choice(record.spans)
    moved = replace(span, node="elsewhere")
    return replace(record, spans=[moved if s is span else s for s in record.spans])


def other_deployment(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    replicas = [replace(replica, deployment_id="another") for replica in one.replicas]
    return record.with_request(one.index, replicas=replicas)


def no_deployment_said(record: Record, draw: random.Random) -> Record:
    return record.with_request(one_of(record, draw).index, replicas=[])


def retried(record: Record, draw: random.Random) -> Record:
    """One more call of every replica after a request, in which the client got no answer."""
    one = later(record, draw)

    def numbered(request: Request) -> list[object]:
        after = request.scheduled_s >= one.scheduled_s
        return [
            replace(replica, calls=[(number + after, *rest) for number, *rest in replica.calls])
            for replica in request.replicas
        ]

    return replace(
        record, requests=[replace(request, replicas=numbered(request)) for request in record.requests]
    )


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
            replace(replica, settings={**replica.settings, name: value})
            if replica.replica.startswith(deployment)
            else replica
            for replica in one.replicas
        ]
        return record.with_request(one.index, replicas=replicas)

    return change


def smaller_batches(record: Record, draw: random.Random) -> Record:
    one = one_of(record, draw)
    replicas = [
        replace(replica, calls=[(n, frames, frames) for n, frames, _ in replica.calls])
        if replica.replica.startswith("ModelInference")
        else replica
        for replica in one.replicas
    ]
    return record.with_request(one.index, replicas=replicas)


def work_of(deployment: str, changed: Callable[[CallWork], CallWork]) -> Change:
    """What was seen of the work on one call is otherwise."""

    def change(record: Record, draw: random.Random) -> Record:
        one = one_of(record, draw)
        (own,) = [replica for replica in one.replicas if replica.replica.startswith(deployment)]
        at = draw.randrange(len(own.work))
        work = [changed(call) if number == at else call for number, call in enumerate(own.work)]
        replicas = [replace(replica, work=work) if replica is own else replica for replica in one.replicas]
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
    (own,) = [replica for replica in one.replicas if replica.replica.startswith("ModelInference")]
    first = own.work[0].passes[0][0]
    frames = own.calls[0][1]
    parts = [(first, frames // 2), (first + 1, frames - frames // 2)]
    calls = [(own.calls[0][0], frames, 2), *own.calls[1:]]
    other = replace(own, calls=calls, work=[replace(own.work[0], passes=parts), *own.work[1:]])
    return record.with_request(
        one.index, replicas=[other if replica is own else replica for replica in one.replicas]
    )


def passes_of_others(record: Record, draw: random.Random) -> Record:
    """The network ran once more than its calls account for, between two requests."""
    one = later(record, draw)

    def moved(request: Request) -> list[object]:
        by = request.scheduled_s >= one.scheduled_s
        return [
            replace(
                replica,
                work=[
                    replace(work, passes=[(number + by, size) for number, size in work.passes])
                    for work in replica.work
                ],
            )
            for replica in request.replicas
        ]

    return replace(
        record, requests=[replace(request, replicas=moved(request)) for request in record.requests]
    )


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


def all_work_by_one_decoder(record: Record, draw: random.Random) -> Record:
    idle = PlacedReplica(replica="VideoDecoder#idle", node="head")
    record.config.cluster.deployments.decoder.replicas = 2
    placed = [*record.graph.replicas_before, idle]
    return record.with_graph(replicas_before=placed, replicas_after=placed)


def decoder_misplaced(record: Record, draw: random.Random) -> Record:
    record.config.cluster.deployments.decoder.resources = {"another": 0.001}
    return record
