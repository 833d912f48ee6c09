"""Whether decoders and models did their work again for each request, or kept what an earlier one had cost."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from vbench.record import Graph, Request, Rule, SpanLine
from vbench.validity.intervals import covered_s

STAGES = ("decode", "infer")

LEAST_OF_ALONE = 0.2
"""Of a frame's CPU time over a replica's threads: it cannot take less than all of that, and a busy machine
makes CPU time at most about twice as much. What is looked up takes less than 0.01 of it."""

LEAST_OF_FIRST = 0.05
"""Of what a frame took in the warm-up, where first calls are slow and requests share the cores."""


def compute_per_frame_s(
    stage: str, requests: Sequence[Request], spans: Sequence[SpanLine]
) -> Iterator[tuple[int, float]]:
    """Index of each request that has frames, and its seconds of the stage's compute per frame.

    Of ``decode`` the sum over chunks; of ``infer``, whose calls share batches, the time in which at least one
    was under way.
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
    """In each request each stage's compute per frame is above its floor, and no two in a row are the same."""
    yield _in_turn(requests)
    shown: list[str] = []
    problems: list[str] = []
    for stage in STAGES:
        alone_s, first_s = graph.compute_alone_s.get(stage, 0.0), graph.compute_first_s.get(stage, 0.0)
        floor_s = max(LEAST_OF_ALONE * alone_s, LEAST_OF_FIRST * first_s)
        each = list(compute_per_frame_s(stage, requests, spans))
        if not each:
            continue
        index, least_s = min(each, key=lambda one: one[1])
        against = f"{1000 * alone_s:.2f} ms of CPU" if alone_s else f"{1000 * first_s:.2f} ms in the warm-up"
        if not floor_s:
            against = "nothing to hold it against: load.warmup=0 on another machine"
        text = f"{stage} took {1000 * least_s:.2f} ms per frame in request {index} ({against})"
        (problems if least_s < floor_s else shown).append(text)
    yield Rule(
        name="each request was computed anew",
        holds=not problems,
        found="; ".join(problems or shown) or "no request has frames",
        remedy=(
            "find what answers from memory instead of decoding and inferring, and switch it off: the numbers"
            " are not those of the work"
        ),
    )


def _in_turn(requests: Sequence[Request]) -> Rule:
    """Where there is more than one video to ask for, which a user's own is not."""
    ordered = sorted(requests, key=lambda one: one.index)
    videos = {one.video for one in ordered}
    same = [
        f"requests {before.index} and {after.index} asked for the same video, and there are {len(videos)}"
        for before, after in pairwise(ordered)
        if len(videos) > 1 and before.video == after.video
    ]
    return Rule(
        name="requests in a row asked for different videos",
        holds=not same,
        found=(
            same[0]
            if same
            else f"{len(videos)} videos in turn"
            if len(videos) > 1
            else "there is one video: that it was worked on each time is another rule's"
        ),
        remedy="requests were left out, repeated or replaced: do not use the numbers",
    )
