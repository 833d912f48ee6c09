"""Where the time of a request went: each moment counts once, for what was done for the request then."""

from collections.abc import Mapping, Sequence

from vbench.pipeline.spans import STAGES
from vbench.record.requests import Request, SpanLine

OTHER = "other"
"""No span at all: HTTP, results on their way back, writing the response."""

PARTS = (
    "chunk transfer",
    "chunk compute",
    "decode transfer",
    "decode compute",
    "infer transfer",
    "infer compute",
    "chunk queue",
    "decode queue",
    "infer queue",
    OTHER,
)
"""Work first, then waiting, each in the order of the pipeline."""


def latency_breakdown(requests: Sequence[Request], spans: Sequence[SpanLine]) -> dict[str, float]:
    """Part -> seconds, mean over requests; the parts of a trial sum to its mean latency.

    Each moment from a request's due time to its response counts for what is computed or transferred for it,
    in equal parts if several kinds of work go on at once. Waiting counts only if there is no work, and then
    for the last stage that waits: earlier ones wait for it. So a chunk that queues while another one is
    decoded costs nothing. Sums over chunks (``decode_queue_s`` and the like in a trial's metrics) say how
    long chunks waited; this says how long the request did.
    """
    if not requests:
        return {}
    by_request: dict[int, list[SpanLine]] = {}
    for span in spans:
        by_request.setdefault(span.request, []).append(span)
    totals = dict.fromkeys(PARTS, 0.0)
    for request in requests:
        due_s = request.sent_unix_s - request.late_s
        parts = _of_request(due_s, due_s + request.latency_s, by_request.get(request.index, []))
        for part, seconds in parts.items():
            totals[part] += seconds
    return {part: seconds / len(requests) for part, seconds in totals.items()}


def _of_request(from_s: float, to_s: float, spans: Sequence[SpanLine]) -> Mapping[str, float]:
    """The seconds between two moments, divided among the parts."""
    edges: list[tuple[float, int, str]] = []
    for span in spans:
        start_s, end_s = max(span.start_s, from_s), min(span.end_s, to_s)
        if end_s > start_s:
            part = f"{span.stage} {span.kind}"
            edges += [(start_s, 1, part), (end_s, -1, part)]
    edges.sort()
    parts = dict.fromkeys(PARTS, 0.0)
    active: dict[str, int] = {}
    at_s = from_s
    for edge_s, change, part in [*edges, (to_s, 0, OTHER)]:
        counted = _counted([name for name, count in active.items() if count])
        for name in counted:
            parts[name] += (edge_s - at_s) / len(counted)
        at_s = edge_s
        active[part] = active.get(part, 0) + change
    return parts


def _counted(active: Sequence[str]) -> Sequence[str]:
    """Of the parts that go on at a moment, those for which it counts."""
    work = [part for part in active if not part.endswith(" queue")]
    if work:
        return work
    waiting = [f"{stage} queue" for stage in reversed(STAGES) if f"{stage} queue" in active]
    return waiting[:1] or [OTHER]
