"""``load=video`` on a running cluster: deploy, warm up, send requests, check the responses."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vbench.config.sizing import deployments
from vbench.config.sizing import replicas as sized_replicas
from vbench.errors import TrialError
from vbench.load.calibrate import compute_first_s
from vbench.load.closed_loop import HttpRequest, Outcome, closed_loop, reporting
from vbench.load.deploy import deploy, exclusive_serve, placement, replicas, reserved_port
from vbench.load.entrance import HOST, haproxy_stats
from vbench.load.measured_requests import send_measured
from vbench.load.measurement import Observation
from vbench.load.reference import check
from vbench.load.spec import LoadSpec, read_clip
from vbench.load.videos import Videos
from vbench.pipeline.api_schema import PATH
from vbench.pipeline.application import APPLICATION, NAMES
from vbench.pipeline.reports import CallWork, ReplicaReport
from vbench.pipeline.request_count import API_COUNT, PROXY_COUNT, read_count
from vbench.pipeline.spans import STAGES
from vbench.ray_internals.ingress import Ingress, ingress_of
from vbench.record.clip import Clip
from vbench.record.load_report import Graph
from vbench.record.requests import Request, SpanLine
from vbench.record.transfers import frame_bytes_by_route, inter_node_transfers
from vbench.telemetry.listeners import PortWatch

WARM_UP_ROUNDS = 4

API = NAMES[0]

STAGE_OF: dict[str, str] = dict(zip(NAMES[1:], STAGES, strict=True))
"""Deployment -> the stage that is its work."""

SERVED_AS = dict(zip(("api", "service", "decoder", "inference"), NAMES, strict=True))
"""Deployment as the configuration names it -> as Serve does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A deployed pipeline."""

    urls: tuple[str, ...]
    deployment_id: str
    watch: PortWatch
    """Of its ports."""


def drive(job: LoadSpec) -> None:
    """Run the load and write the record's lines and ``load_report.json`` into the job's folder.

    TrialError if the pipeline cannot be deployed, or the warm-up fails.
    """
    observation = Observation(job)
    with serving(job, observation) as service:
        measure(job, observation, service)


@contextmanager
def serving(job: LoadSpec, observation: Observation) -> Iterator[Service]:
    """The pipeline, deployed while the block runs; TrialError if it cannot be."""
    identity = secrets.token_hex(8)
    clip = read_clip(job.folder)
    assert clip is not None, "drive comes after prepare"
    clips = [Path(clip.path), *(Path(variant["path"]) for variant in clip.variants)]
    with reserved_port(job.config) as port, exclusive_serve(observation.endpoint):
        with observation.phase("deploy"):
            entrance = deploy(job.config, clips, port, identity, observation.names)
        watch = PortWatch(HOST, entrance.ports, entrance.pids)
        yield Service(urls=entrance.urls, deployment_id=identity, watch=watch)


def measure(job: LoadSpec, observation: Observation, service: Service) -> None:
    """Warm up, send the measured requests, check the responses, write the record."""
    clip = read_clip(job.folder)
    assert clip is not None, "drive comes after prepare"
    videos = Videos(clip, job.config.load.seed)
    names = observation.names
    with service.watch.running(job.config.load.sample_period_s):
        with observation.phase("warm_up"):
            placed = placement(names)
            warmed = _warm_up(job, service.urls, clip, videos, names, placed)
        before = replicas(names, APPLICATION)
        ingress = ingress_of(job.config.runtime.env)
        has_haproxy = ingress is Ingress.HAPROXY
        haproxy_before = haproxy_stats().requests if has_haproxy else None
        with observation.measuring():
            outcomes = send_measured(job.config, service.urls, lambda index: _request(videos, index))
        haproxy_after = haproxy_stats().requests if has_haproxy else None
    after = replicas(names, APPLICATION)
    checked = [_checked(job, outcome, clip, videos, names) for outcome in outcomes]
    spans = [span for _, lines in checked for span in lines]
    warm_requests = [request for request, _ in warmed]
    warm_spans = [span for _, lines in warmed for span in lines]
    graph = Graph(
        deployment_id=service.deployment_id,
        listeners=service.watch.listeners(),
        replicas_before=before,
        replicas_after=after,
        replicas_configured={
            SERVED_AS[name]: sized_replicas(job.config.cluster, name)
            for name in deployments(job.config.cluster)
        },
        model_fingerprint=clip.served_detector or "",
        served_before=_served(warm_requests),
        warm_up_requests=len(warmed),
        proxy_served_before=(
            haproxy_before
            if haproxy_before is not None
            else max((one.proxy_requests or 0 for one in warm_requests), default=0)
        ),
        proxy_served_after=haproxy_after,
        compute_alone_s=clip.compute_s,
        compute_first_s=compute_first_s(warm_requests, warm_spans),
    )
    observation.write(
        requests=[request for request, _ in checked],
        spans=spans,
        moved_bytes=Counter(_moved_bytes(warm_spans)) + Counter(_moved_bytes(spans)),
        placement=placed,
        cold=cold(placed, warm_spans) if job.config.load.warmup else None,
        graph=graph,
    )


def _request(videos: Videos, index: int) -> HttpRequest:
    """Mode, rate and chunk length are the service's defaults, with which it was deployed."""
    return HttpRequest(method="POST", path=PATH, json={"video": videos.of(index).asked})


def _warm_up(
    job: LoadSpec,
    urls: tuple[str, ...],
    clip: Clip,
    videos: Videos,
    names: Mapping[str, str],
    replicas: Mapping[str, Mapping[str, int]],
) -> list[tuple[Request, Sequence[SpanLine]]]:
    """The requests that are not counted, with their spans.

    Serve chooses the replica of each request, so rounds are added, up to ``WARM_UP_ROUNDS`` in all, until
    each replica has had work: a cold one would have its first in the measured time of some trials and not of
    others. Serve (2.60) prefers a replica whose queue length it knows, while that has room, so a few requests
    at a time can all go to the same one. An added round therefore has at least as many requests at a time as
    will be measured.
    """
    load = job.config.load
    warmed: list[tuple[Request, Sequence[SpanLine]]] = []
    for number in range(WARM_UP_ROUNDS if load.warmup else 0):
        if number and not cold(replicas, [span for _, lines in warmed for span in lines]):
            break
        count = max(load.warmup, load.concurrency) if number else load.warmup
        for outcome in _loop(job, urls, videos, count, "more warm-up" if number else "warm-up"):
            request, lines = _checked(job, outcome, clip, videos, names)
            if request.error or request.mismatch:
                raise TrialError(f"the warm-up failed: {request.error or request.mismatch}")
            # The number of a request is unique over all rounds.
            index = len(warmed)
            warmed.append((replace(request, index=index), [replace(line, request=index) for line in lines]))
    return warmed


def _served(requests: Sequence[Request]) -> dict[str, int]:
    """API replica -> how many HTTP requests it had counted when it answered the last of these."""
    served: dict[str, int] = {}
    for request in requests:
        for replica in request.replicas:
            if replica.deployment == API:
                numbers = [call[0] for call in replica.calls]
                counts = (served.get(replica.replica, 0), request.api_requests or 0, *numbers)
                served[replica.replica] = max(counts)
    return served


def cold(replicas: Mapping[str, Mapping[str, int]], spans: Sequence[SpanLine]) -> list[str]:
    """Deployments of which a replica has done no work; ``replicas``: deployment -> node -> how many."""
    names = []
    for deployment, stage in STAGE_OF.items():
        seen = {span.replica for span in spans if span.stage == stage and span.kind == "compute"}
        if len(seen) < sum(replicas.get(deployment, {}).values()):
            names.append(deployment)
    return names


def _loop(job: LoadSpec, urls: tuple[str, ...], videos: Videos, count: int, phase: str) -> list[Outcome]:
    return closed_loop(
        urls,
        lambda index: _request(videos, index),
        requests_count=count,
        concurrency=min(job.config.load.concurrency, count),
        timeout_s=job.config.load.timeout_s,
        answered=reporting(phase, count),
    )


def _checked(
    job: LoadSpec, outcome: Outcome, clip: Clip, videos: Videos, names: Mapping[str, str]
) -> tuple[Request, Sequence[SpanLine]]:
    """An outcome, parsed and compared with the reference; ``names``: Ray's node id -> name."""
    answer, error = _answer(outcome)
    video = videos.of(outcome.index)
    reference = video.reference
    if answer and not clip.address and answer["video"]["path"] != video.asked:
        error = f"the response is for {answer['video']['path']}, but the request was for {video.asked}"
        answer = None
    if answer and clip.address and answer["video"]["checksum"] != clip.fingerprint:
        fetched = answer["video"]["checksum"]
        error = f"the service fetched different bytes (xxh3 {fetched}) than the reference pass"
        answer = None
    spans = [
        SpanLine(request=outcome.index, **{**span, "node": names.get(span["node"], span["node"])})
        for span in (answer["spans"] if answer else [])
    ]
    verdict = check(reference, answer, job.config.model.score_threshold) if answer else None
    request = Request(
        index=outcome.index,
        scheduled_s=outcome.scheduled_s,
        sent_s=outcome.sent_s,
        done_s=outcome.done_s,
        sent_unix_s=outcome.sent_unix_s,
        status=outcome.status,
        error=error,
        frames_expected=len(reference.frames),
        frames_got=verdict.frames_got if verdict else 0,
        frames_wrong=verdict.frames_wrong if verdict else 0,
        detections=verdict.detections if verdict else 0,
        detections_wrong=verdict.detections_wrong if verdict else 0,
        detections_repeated=verdict.detections_repeated if verdict else 0,
        mismatch=verdict.mismatch if verdict else None,
        digest=answer["digest"] if answer else None,
        answer_bytes=len(outcome.body),
        frame_bytes=answer["counts"]["frame_bytes"] if answer else 0,
        video_s=clip.duration_s,
        video=video.name,
        received_s=answer.get("received_s") if answer else None,
        finished_s=answer.get("finished_s") if answer else None,
        settings=answer.get("settings", {}) if answer else {},
        replicas=[_report(one, names) for one in (answer.get("replicas", []) if answer else [])],
        api_requests=read_count(outcome.headers, API_COUNT),
        proxy_requests=_proxy_count(job, outcome),
    )
    return request, spans


def _proxy_count(job: LoadSpec, outcome: Outcome) -> int | None:
    """What Serve's proxy had counted; None if it was not asked: a replica that takes requests itself has the
    same middleware."""
    is_proxied = ingress_of(job.config.runtime.env) is Ingress.PROXY
    return read_count(outcome.headers, PROXY_COUNT) if is_proxied else None


def _moved_bytes(spans: Sequence[SpanLine]) -> Mapping[tuple[str, str], int]:
    """(sender, receiver) -> bytes of frames that had to move between these nodes."""
    return frame_bytes_by_route(inter_node_transfers(spans))


def _report(said: Mapping[str, Any], names: Mapping[str, str]) -> ReplicaReport:
    work = [CallWork(**one) for one in said.get("work", [])]
    return ReplicaReport(**{**said, "node": names.get(said["node"], said["node"]), "work": work})


def _answer(outcome: Outcome) -> tuple[dict[str, Any] | None, str | None]:
    """The response with status 200, or why there is none."""
    if outcome.error is not None:
        return None, outcome.error
    try:
        data = json.loads(outcome.body)
    except ValueError:
        text = outcome.body[:200].decode(errors="replace").strip()
        return None, f"HTTP {outcome.status}: {text or 'an empty response'}"
    if outcome.status != 200:
        detail = data.get("detail", data) if isinstance(data, dict) else data
        return None, f"HTTP {outcome.status}: {detail}"
    return data, None
