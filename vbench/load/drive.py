"""The load of videos on a running cluster: deploy, warm up, drive, check the answers."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vbench.errors import TrialError
from vbench.load.client import Outcome, closed_loop
from vbench.load.deploy import deploy, placement
from vbench.load.events import progress
from vbench.load.job import Job, read_clip
from vbench.load.observe import Observation
from vbench.load.reference import Reference, check, read_reference
from vbench.record import Clip, Request, SpanLine
from vbench.wire import frames_moved


def drive(job: Job) -> None:
    """Run the load and write the record's lines and ``observed.json`` into the job's folder.

    Raises TrialError where the graph does not come up or the warm-up is not answered rightly.
    """
    clip = read_clip(job.folder)
    assert clip is not None, "drive comes after prepare"
    reference = read_reference(clip.reference)
    observation = Observation(job)
    names = observation.names
    with observation.phase("deploy"):
        url = deploy(job.config)
    with observation.phase("warm_up"):
        warmed = _warm_up(job, url, clip, reference, names)
    with observation.measuring():
        outcomes = _measure(job, url, clip)
    checked = [_checked(job, outcome, clip, reference, names) for outcome in outcomes]
    spans = [span for _, lines in checked for span in lines]
    observation.write(
        requests=[request for request, _ in checked],
        spans=spans,
        moved_bytes=Counter(frames_moved(warmed)) + Counter(frames_moved(spans)),
        placement=placement(names),
        url=url,
    )


def _body(clip: Clip) -> dict[str, object]:
    """Mode, rate and chunk length are the service's own: they were deployed with it."""
    return {"video": clip.path}


def _warm_up(
    job: Job, url: str, clip: Clip, reference: Reference, names: Mapping[str, str]
) -> list[SpanLine]:
    """The spans of the requests that are not counted."""
    count = job.config.load.warmup
    outcomes = _loop(job, url, clip, count, "warm-up") if count else []
    spans: list[SpanLine] = []
    for outcome in outcomes:
        request, lines = _checked(job, outcome, clip, reference, names)
        if request.error or request.mismatch:
            raise TrialError(f"the warm-up was not answered rightly: {request.error or request.mismatch}")
        spans += lines
    return spans


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
