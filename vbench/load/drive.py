"""The load of videos on a running cluster: deploy, warm up, drive, check the answers."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vbench.errors import TrialError
from vbench.load.client import Outcome, closed_loop
from vbench.load.deploy import deploy, placement, serve_to_ourselves
from vbench.load.events import progress
from vbench.load.job import Job, read_clip
from vbench.load.observe import Observation
from vbench.load.reference import Reference, check, read_reference
from vbench.record import Clip, Request, SpanLine
from vbench.wire import crossed, frames_moved

WARM_UP_ROUNDS = 4

STAGES = {"VideoProcessingService": "chunk", "VideoDecoder": "decode", "ModelInference": "infer"}
"""Deployment -> the stage that is its work."""


def drive(job: Job) -> None:
    """Run the load and write the record's lines and ``observed.json`` into the job's folder.

    Raises TrialError where the graph does not come up or the warm-up is not answered rightly.
    """
    clip = read_clip(job.folder)
    assert clip is not None, "drive comes after prepare"
    reference = read_reference(clip.reference)
    observation = Observation(job)
    names = observation.names
    with serve_to_ourselves(observation.place):
        with observation.phase("deploy"):
            url = deploy(job.config, Path(clip.path))
        with observation.phase("warm_up"):
            replicas = placement(names)
            warmed = _warm_up(job, url, clip, reference, names, replicas)
        with observation.measuring():
            outcomes = _measure(job, url, clip)
    checked = [_checked(job, outcome, clip, reference, names) for outcome in outcomes]
    spans = [span for _, lines in checked for span in lines]
    observation.write(
        requests=[request for request, _ in checked],
        spans=spans,
        moved_bytes=Counter(frames_moved(warmed)) + Counter(frames_moved(spans)),
        placement=replicas,
        cold=cold(replicas, warmed) if job.config.load.warmup else None,
        url=url,
    )


def _body(clip: Clip) -> dict[str, object]:
    """Mode, rate and chunk length are the service's own: they were deployed with it."""
    return {"video": clip.address or clip.path}


def _warm_up(
    job: Job,
    url: str,
    clip: Clip,
    reference: Reference,
    names: Mapping[str, str],
    replicas: Mapping[str, Mapping[str, int]],
) -> list[SpanLine]:
    """The spans of the requests that are not counted.

    Which replica a request comes to is Serve's choice, so rounds are added, ``WARM_UP_ROUNDS`` in all, until
    each has had work: one that is cold would have its first in the measured time, in some trials and not in
    others. Serve (2.60) prefers a replica whose queue it knows, while that has room, to one it would have to
    ask: a few requests at a time can all come to the same, round after round. So an added round is at least
    as many at a time as will be measured.
    """
    load = job.config.load
    spans: list[SpanLine] = []
    asked = 0
    for number in range(WARM_UP_ROUNDS if load.warmup else 0):
        if number and not cold(replicas, spans):
            break
        count = max(load.warmup, load.concurrency) if number else load.warmup
        for outcome in _loop(job, url, clip, count, "warm-up again" if number else "warm-up"):
            request, lines = _checked(job, outcome, clip, reference, names)
            if request.error or request.mismatch:
                raise TrialError(f"the warm-up was not answered rightly: {request.error or request.mismatch}")
            # Requests of all rounds are told apart by their number.
            spans += [replace(line, request=line.request + asked) for line in lines]
        asked += count
    return spans


def cold(replicas: Mapping[str, Mapping[str, int]], spans: Sequence[SpanLine]) -> list[str]:
    """Deployments of which a replica has done no work; ``replicas``: deployment -> node -> how many."""
    found = []
    for deployment, stage in STAGES.items():
        seen = {span.replica for span in spans if span.stage == stage and span.kind == "compute"}
        if len(seen) < sum(replicas.get(deployment, {}).values()):
            found.append(deployment)
    return found


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
    if answer and clip.address and answer["video"]["checksum"] != clip.fingerprint:
        error = f"the service fetched other bytes (xxh3 {answer['video']['checksum']}) than the reference had"
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
        mismatch=verdict.mismatch if verdict else None,
        digest=answer["digest"] if answer else None,
        answer_bytes=len(outcome.body),
        frame_bytes=answer["counts"]["frame_bytes"] if answer else 0,
        video_s=clip.duration_s,
        crossed_bytes=crossed(spans),
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
