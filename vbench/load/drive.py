"""On a running cluster: deploy, warm up, prove the flags, drive the load, check the answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray._private.internal_api import node_stats

from vbench import procfs
from vbench.errors import TrialError
from vbench.load.client import Outcome, closed_loop
from vbench.load.deploy import deploy, placement
from vbench.load.events import progress
from vbench.load.job import Job, Place, read_clip
from vbench.load.reference import Reference, check, read_reference
from vbench.phases import timed
from vbench.pipeline.config import HEAD_RESOURCE
from vbench.record import (
    NODES,
    OBSERVED,
    REQUESTS,
    SPANS,
    Clip,
    Observed,
    Request,
    SpanLine,
    write_json,
    write_lines,
)
from vbench.runtimes import environment
from vbench.telemetry import flags
from vbench.telemetry.sampler import Sampler, StoreUse


def drive(job: Job) -> None:
    """Run the load and write the record's lines and ``observed.json`` into the job's folder.

    Raises TrialError where the graph does not come up or the warm-up is not answered rightly.
    """
    assert job.place is not None, "drive needs a cluster"
    clip = read_clip(job.folder)
    assert clip is not None, "drive comes after prepare"
    reference = read_reference(clip.reference)
    phases_s: dict[str, float] = {}
    with timed(phases_s, "connect"):
        progress("connecting to Ray")
        ray.init(address=job.place.address, logging_level="ERROR", log_to_driver=False)
    with timed(phases_s, "deploy"):
        url = deploy(job.config)
    with timed(phases_s, "warm_up"):
        _warm_up(job, url, clip, reference)
    head = _head()
    sampler = Sampler(
        job.place.nodes[0], job.place.harness_pid, job.config.load.sample_period_s, lambda: store_use(head)
    )
    kills = procfs.oom_kills()
    with timed(phases_s, "measure"), sampler.running():
        outcomes = _measure(job, url, clip)
    kills = None if kills is None else (procfs.oom_kills() or 0) - kills
    found = flags.found(job.place.temp_dir, job.place.nodes[0])
    names = _node_names(job.place)
    checked = [_checked(job, outcome, clip, reference, names) for outcome in outcomes]
    write_lines(job.folder / REQUESTS, [request for request, _ in checked])
    write_lines(job.folder / SPANS, [span for _, spans in checked for span in spans])
    write_lines(job.folder / NODES, sampler.samples)
    observed = Observed(
        ray_version=ray.__version__,
        ray_commit=ray.__commit__,
        phases_s=phases_s,
        measured_from_s=min(outcome.scheduled_s for outcome in outcomes),
        measured_to_s=max(outcome.done_s for outcome in outcomes),
        runtime_asked=environment(job.config.runtime.connections),
        runtime_found=found,
        placement=placement(names),
        oom_kills=kills,
        not_sent=job.config.load.requests - len(outcomes),
        url=url,
    )
    write_json(job.folder / OBSERVED, observed)


def _head() -> Mapping[str, Any]:
    return next(node for node in ray.nodes() if HEAD_RESOURCE in node["Resources"])


def _node_names(place: Place) -> dict[str, str]:
    """Ray's node ids by the names of the configuration."""
    return {_head()["NodeID"]: place.nodes[0]}


def store_use(node: Mapping[str, Any]) -> StoreUse:
    """What a node's raylet says of its object store now."""
    stats = node_stats(
        node["NodeManagerAddress"], node["NodeManagerPort"], include_memory_info=False
    ).store_stats
    return StoreUse(
        used_bytes=stats.object_store_bytes_used,
        spilled_bytes=stats.spilled_bytes_total,
        fallback_bytes=stats.object_store_bytes_fallback,
    )


def _body(clip: Clip) -> dict[str, object]:
    """Mode, rate and chunk length are the service's own: they were deployed with it."""
    return {"video": clip.path}


def _warm_up(job: Job, url: str, clip: Clip, reference: Reference) -> None:
    count = job.config.load.warmup
    outcomes = _loop(job, url, clip, count, "warm-up") if count else []
    for outcome in outcomes:
        request, _ = _checked(job, outcome, clip, reference, {})
        if request.error or request.mismatch:
            raise TrialError(f"the warm-up was not answered rightly: {request.error or request.mismatch}")


def _measure(job: Job, url: str, clip: Clip) -> list[Outcome]:
    return _loop(job, url, clip, job.config.load.requests, "requests")


def _loop(job: Job, url: str, clip: Clip, count: int, phase: str) -> list[Outcome]:
    done: list[float] = []
    progress(phase, 0, count)

    def answered(outcome: Outcome) -> None:
        done.append(outcome.done_s - outcome.scheduled_s)
        progress(phase, len(done), count, f"mean {sum(done) / len(done):.2f} s")

    return closed_loop(
        url,
        _body(clip),
        requests_count=count,
        concurrency=min(job.config.load.concurrency, count),
        timeout_s=job.config.load.timeout_s,
        answered=answered,
    )


def _checked(
    job: Job, outcome: Outcome, clip: Clip, reference: Reference, names: Mapping[str, str]
) -> tuple[Request, Sequence[SpanLine]]:
    """An outcome read, and held against the reference; ``names`` says how Ray's node ids are called."""
    answer, error = _answer(outcome)
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
        mismatch=verdict.mismatch if verdict else None,
        digest=answer["digest"] if answer else None,
        answer_bytes=len(outcome.body),
        frame_bytes=answer["counts"]["frame_bytes"] if answer else 0,
        video_s=clip.duration_s,
    )
    return request, spans


def _answer(outcome: Outcome) -> tuple[dict[str, Any] | None, str | None]:
    """The answer of a 200, or why there is none."""
    if outcome.error is not None:
        return None, outcome.error
    try:
        data = json.loads(outcome.body)
    except ValueError:
        text = outcome.body[:200].decode(errors="replace").strip()
        return None, f"HTTP {outcome.status}: {text or 'an empty answer'}"
    if outcome.status != 200:
        detail = data.get("detail", data) if isinstance(data, dict) else data
        return None, f"HTTP {outcome.status}: {detail}"
    return data, None
