"""Which spans a request of the video service must have, chunk by chunk: none missing, none too many."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from vbench.config.schema import Config
from vbench.record.requests import Request, SpanLine
from vbench.validity import request_flow

Chunks = Counter[int | None]
"""Chunk -> spans of one stage and kind; None: of the whole request."""

PTS_BYTES = 8
"""Each frame travels with its timestamp."""

DEPLOYMENTS = {"chunk": "VideoProcessingService", "decode": "VideoDecoder", "infer": "ModelInference"}


def incomplete(
    config: Config, requests: Sequence[Request], spans: Sequence[SpanLine], off_s: float
) -> Iterator[str]:
    """What is missing or too much, per answered request; ``off_s``: how far clocks may be apart."""
    by_request: dict[int, list[SpanLine]] = {}
    for span in spans:
        by_request.setdefault(span.request, []).append(span)
    plans: dict[str, set[int]] = {}
    """Video -> how many chunks it was split into."""
    for request in requests:
        if request.error is not None:
            continue
        lines = by_request.get(request.index, [])
        split = _chunks(lines, "chunk", "compute")
        plans.setdefault(request.video, set()).add(sum(chunk is not None for chunk in split))
        for problem in _of_request(config, request, lines, off_s):
            yield f"request {request.index}: {problem}"
    for counts in plans.values():
        if len(counts) > 1:
            yield f"the same video was split into {' and '.join(map(str, sorted(counts)))} chunks"


def _chunks(lines: Sequence[SpanLine], stage: str, kind: str) -> Chunks:
    return Counter(span.chunk for span in lines if (span.stage, span.kind) == (stage, kind))


def _of_request(config: Config, request: Request, lines: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    split = _chunks(lines, "chunk", "compute")
    opened = split.pop(None, 0)
    if opened != 1 or split != Counter(range(len(split))):
        yield f"it was split into the chunks {_words(split)}, and opened {opened} times"
    decoded = _chunks(lines, "decode", "compute")
    if decoded - split or any(count > 1 for count in decoded.values()):
        yield f"the chunks {_words(decoded)} were decoded, but {_words(split)} were split"
    for kind in ("transfer", "queue"):
        if (these := _chunks(lines, "decode", kind)) != decoded:
            yield f"decode {kind} has the chunks {_words(these)}, but {_words(decoded)} were decoded"
    once: Chunks = Counter(dict.fromkeys(decoded, 1))
    whole: Chunks = Counter([None] if decoded else [])
    combined, relayed = config.mode == "combined", config.pipeline.handoff == "relay"
    if (inferred := _chunks(lines, "infer", "compute")) != (whole if combined else once):
        yield f"infer compute has the chunks {_words(inferred)}, but {_words(decoded)} were decoded"
    transfers = _chunks(lines, "infer", "transfer")
    if combined:
        # Direct, frames may have been brought to the model's node ahead of the call.
        right = [once + whole] if relayed else [once + whole, whole]
    else:
        right = [once + once if relayed else once]
    if transfers not in right:
        yield f"frames of the chunks {_words(transfers)} were transferred, but {_words(decoded)} were decoded"
    moved = sum(span.bytes for span in lines if (span.stage, span.kind) == ("infer", "transfer"))
    if moved != (2 if relayed else 1) * (request.frame_bytes + PTS_BYTES * request.frames_got):
        yield f"{moved} bytes were transferred, but its frames have {request.frame_bytes}"
    decoders = [one for one in request.replicas if one.replica.startswith("VideoDecoder#")]
    told = sum(frames for one in decoders for _, frames, _ in one.calls)
    if decoders and told != request.frames_got:
        yield f"the decoders report {told} frames, but the response has {request.frames_got}"
    yield from _order(lines, off_s)
    yield from _places(lines)
    yield from request_flow.deviations(config, request, lines, off_s)


def _order(lines: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    """A chunk is split, sent, decoded and inferred, in this order."""
    at: dict[tuple[str, str], dict[int | None, SpanLine]] = {}
    for span in lines:
        at.setdefault((span.stage, span.kind), {})[span.chunk] = span
    steps = [("chunk", "compute"), ("decode", "transfer"), ("decode", "compute"), ("infer", "compute")]
    for before, after in pairwise(steps):
        later = at.get(after, {})
        for chunk, span in at.get(before, {}).items():
            follows = _following(later, chunk)
            if chunk is not None and follows and follows.start_s < span.end_s - off_s:
                yield f"{' '.join(after)} of chunk {chunk} began before its {' '.join(before)} had ended"


def _following(later: Mapping[int | None, SpanLine], chunk: int | None) -> SpanLine | None:
    return later.get(chunk, later.get(None))


def _places(lines: Sequence[SpanLine]) -> Iterator[str]:
    """Compute is on a replica of the stage's deployment."""
    for span in lines:
        if span.kind == "compute" and span.replica.partition("#")[0] != DEPLOYMENTS.get(span.stage):
            yield f"{span.stage} compute ran on {span.replica}"


def _words(chunks: Chunks) -> str:
    """``0, 1, 2 (2 times)``, shortened."""
    named = [
        f"{'whole' if chunk is None else chunk}" + (f" ({count} times)" if count > 1 else "")
        for chunk, count in sorted(chunks.items(), key=lambda item: -1 if item[0] is None else item[0])
    ]
    return ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "") or "none"
