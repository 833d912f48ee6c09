"""Whether decoders and models did the work for each request again, instead of reusing results."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from vbench.record.intervals import covered_s
from vbench.record.load_report import Graph
from vbench.record.requests import Request, SpanLine
from vbench.record.trial import Rule
from vbench.validity.catalog.load import IN_TURN
from vbench.validity.catalog.service import ALL_WORKED, COMPUTED_AGAIN
from vbench.validity.span_sets import DEPLOYMENTS, PTS_BYTES

STAGES = ("decode", "infer")

LEAST_OF_ALONE = 0.2
"""Share of a frame's CPU time over a replica's threads: the work cannot take less than the whole, and a busy
machine at most doubles CPU time. A lookup takes less than 0.01 of it."""

LEAST_OF_FIRST = 0.05
"""Share of a frame's time in the warm-up, where first calls are slow and requests share the cores."""


LEAST_OF_ALONE_PER_CHUNK = 0.03
"""The same for a single chunk: one that begins at a keyframe takes a small part of the mean of all chunks,
where pictures before the first sampled one are decoded too. A lookup takes less than 0.01 of it."""

LEAST_OF_ALONE_PER_PASS = 0.1
"""Share of a frame's CPU time over a replica's threads, in the thread that ran a forward pass: other programs
do not shorten CPU time. A lookup takes less than 0.01 of it."""

LEAST_RUN_MS = 1.0
"""Least CPU time of a run of FFmpeg: its start alone takes 10 ms or more."""

CALLS_FOR_ALL = 12
"""Chunks or requests per replica from which on each replica must have had one: if they were distributed
randomly, one in 10^5 trials would leave a replica out, and Serve prefers free ones."""


def compute_per_frame_s(
    stage: str, requests: Sequence[Request], spans: Sequence[SpanLine]
) -> Iterator[tuple[int, float]]:
    """Index of each request that has frames, and its seconds of the stage's compute per frame.

    For ``decode``, the sum over chunks; for ``infer``, whose calls share batches, the time in which at least
    one was under way.
    """
    own: dict[int, list[SpanLine]] = {}
    for span in spans:
        if (span.stage, span.kind) == (stage, "compute"):
            own.setdefault(span.request, []).append(span)
    for request in requests:
        if request.error is None and request.frames_got:
            lines = own.get(request.index, [])
            seconds = (
                sum(span.end_s - span.start_s for span in lines) if stage == "decode" else covered_s(lines)
            )
            yield request.index, seconds / request.frames_got


def judge(graph: Graph, requests: Sequence[Request], spans: Sequence[SpanLine]) -> Iterator[Rule]:
    """The rules: compute per frame is above its floor in each request and chunk, every replica worked, and no
    two consecutive requests are the same."""
    yield _in_turn(requests)
    yield _all_worked(graph, spans)
    shown: list[str] = []
    problems: list[str] = []
    for stage in STAGES:
        alone_s, first_s = graph.compute_alone_s.get(stage, 0.0), graph.compute_first_s.get(stage, 0.0)
        floor_s = max(LEAST_OF_ALONE * alone_s, LEAST_OF_FIRST * first_s)
        per_request_s = list(compute_per_frame_s(stage, requests, spans))
        if not per_request_s:
            continue
        index, least_s = min(per_request_s, key=lambda one: one[1])
        against = f"{1000 * alone_s:.2f} ms of CPU" if alone_s else f"{1000 * first_s:.2f} ms in the warm-up"
        if not floor_s:
            against = "nothing to compare it with: load.warmup=0 on another machine"
        text = f"{stage} took {1000 * least_s:.2f} ms per frame in request {index} ({against})"
        (problems if least_s < floor_s else shown).append(text)
        problems += _looked_up(stage, alone_s, requests, spans)
        problems += _without_passes(alone_s, requests) if stage == "infer" else _undecoded(alone_s, requests)
    yield COMPUTED_AGAIN.verdict(
        passed=not problems,
        observed="; ".join(problems or shown) or "no request has frames",
    )


def _looked_up(
    stage: str, alone_s: float, requests: Sequence[Request], spans: Sequence[SpanLine]
) -> Iterator[str]:
    """The chunk with the least compute per frame, if it is below the floor of a chunk.

    In chunks with few frames, such as a video's last, only a keyframe may have been decoded. In combined
    mode, where all frames go to the model at once, chunks count as equally long.
    """
    frames_got = {one.index: one.frames_got for one in requests}
    bytes_per_frame = {
        one.index: one.frame_bytes / one.frames_got + PTS_BYTES for one in requests if one.frames_got
    }
    frames: dict[tuple[int, int | None], float] = {
        (span.request, span.chunk): span.bytes / bytes_per_frame[span.request]
        for span in spans
        if (span.stage, span.kind) == ("infer", "transfer")
        and span.chunk is not None
        and span.request in bytes_per_frame
    }
    for request, chunks in _chunks(spans).items():
        for chunk in chunks:
            frames.setdefault((request, chunk), frames_got.get(request, 0) / len(chunks))
    most = max(frames.values(), default=0.0)
    per_chunk_s = [
        ((span.end_s - span.start_s) / frames[span.request, span.chunk], span)
        for span in spans
        if (span.stage, span.kind) == (stage, "compute")
        and frames.get((span.request, span.chunk), 0.0) >= most / 2 > 0
    ]
    if not per_chunk_s:
        return
    least_s, span = min(per_chunk_s, key=lambda one: one[0])
    if least_s < LEAST_OF_ALONE_PER_CHUNK * alone_s:
        yield (
            f"{stage} took {1000 * least_s:.3f} ms per frame of chunk {span.chunk} of request {span.request}"
            f" ({1000 * alone_s:.2f} ms of CPU)"
        )


def _chunks(spans: Sequence[SpanLine]) -> dict[int, set[int]]:
    """Request -> its chunks that were decoded."""
    chunks: dict[int, set[int]] = {}
    for span in spans:
        if span.stage == "decode" and span.chunk is not None:
            chunks.setdefault(span.request, set()).add(span.chunk)
    return chunks


def _without_passes(alone_s: float, requests: Sequence[Request]) -> Iterator[str]:
    """The forward pass with the least CPU time per frame, if it is below the floor of a pass."""
    passes = [
        (work.pass_cpu_ms, request.index)
        for request in requests
        for one in request.replicas
        for work in one.work
        if work.pass_cpu_ms is not None
    ]
    if not passes:
        return
    least_ms, index = min(passes)
    if least_ms < LEAST_OF_ALONE_PER_PASS * 1000 * alone_s:
        yield (
            f"a forward pass for request {index} took {least_ms:.3f} ms of CPU per frame"
            f" ({1000 * alone_s:.2f} ms by itself)"
        )


def _undecoded(alone_s: float, requests: Sequence[Request]) -> Iterator[str]:
    """Calls for which no FFmpeg ran, and the request with the least CPU time per frame, if that is below the
    floor of a request."""
    per_frame = []
    for request in requests:
        used_ms, frames = 0.0, 0
        for one in (one for one in request.replicas if one.deployment == DEPLOYMENTS["decode"]):
            seen = {work.call: work.decoder_cpu_ms for work in one.work}
            for number, count, _ in one.calls:
                if number not in seen or not count:
                    continue
                if (seen[number] or 0.0) < LEAST_RUN_MS:
                    yield f"no FFmpeg ran for call {number} of {one.replica}, for request {request.index}"
                    return
                used_ms, frames = used_ms + (seen[number] or 0.0), frames + count
        if frames:
            per_frame.append((used_ms / frames, request.index))
    if per_frame and min(per_frame)[0] < LEAST_OF_ALONE * 1000 * alone_s:
        least_ms, index = min(per_frame)
        yield (
            f"FFmpeg took {least_ms:.2f} ms of CPU per frame of request {index} ({1000 * alone_s:.2f} ms by"
            " itself)"
        )


def _all_worked(graph: Graph, spans: Sequence[SpanLine]) -> Rule:
    """Every replica had work if there was enough for all."""
    calls: dict[str, dict[str, int]] = {deployment: {} for deployment in DEPLOYMENTS.values()}
    for span in spans:
        # A service has one such span per request in addition to one per chunk.
        if span.kind == "compute" and (span.stage != "chunk" or span.chunk is None):
            own = calls[DEPLOYMENTS[span.stage]]
            own[span.replica] = own.get(span.replica, 0) + 1
    problems = []
    for deployment, own in calls.items():
        placed = [one.replica for one in graph.replicas_before if one.deployment == deployment]
        idle = [name for name in placed if name not in own]
        if idle and sum(own.values()) >= CALLS_FOR_ALL * len(placed):
            problems.append(f"{idle[0]} had none of the {sum(own.values())} calls of {deployment}")
    return ALL_WORKED.verdict(
        passed=not problems,
        observed=("; ".join(problems) or f"{sum(len(own) for own in calls.values())} replicas had work"),
    )


def _in_turn(requests: Sequence[Request]) -> Rule:
    """Applies if there are several videos; a user's own is only one."""
    ordered = sorted(requests, key=lambda one: one.index)
    videos = {one.video for one in ordered}
    same = [
        f"requests {before.index} and {after.index} asked for the same of {len(videos)} videos"
        for before, after in pairwise(ordered)
        if len(videos) > 1 and before.video == after.video
    ]
    return IN_TURN.verdict(
        passed=not same,
        observed=(
            same[0]
            if same
            else f"{len(videos)} videos in turn"
            if len(videos) > 1
            else "there is only one video; another rule checks that each request was computed again"
        ),
    )
