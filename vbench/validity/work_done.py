"""Whether decoders and models did their work again for each request, or kept what an earlier one had cost."""

from collections.abc import Iterator, Sequence

from vbench.record import Graph, Request, Rule, SpanLine
from vbench.validity.intervals import covered_s

STAGES = ("decode", "infer")

LEAST_OF_ALONE = 0.2
"""Of what a frame takes when nothing else runs: sharing the machine only makes it slower, and a smaller batch
or a longer chunk changes it by less. What is looked up and not computed takes less than 0.01 of it."""

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
    """One rule: in each request, each stage's compute per frame is above its floor."""
    shown: list[str] = []
    problems: list[str] = []
    for stage in STAGES:
        alone_s, first_s = graph.compute_alone_s.get(stage, 0.0), graph.compute_first_s.get(stage, 0.0)
        floor_s = max(LEAST_OF_ALONE * alone_s, LEAST_OF_FIRST * first_s)
        each = list(compute_per_frame_s(stage, requests, spans))
        if not each:
            continue
        index, least_s = min(each, key=lambda one: one[1])
        against = f"{1000 * alone_s:.2f} ms alone" if alone_s else f"{1000 * first_s:.2f} ms in the warm-up"
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
