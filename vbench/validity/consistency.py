"""Whether the facts of a record agree with each other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from vbench.record.clip import Clip
from vbench.record.load_report import Graph
from vbench.record.requests import Request, SpanLine
from vbench.record.trial import Rule
from vbench.validity.catalog.record import CONSISTENT
from vbench.validity.first_problem import first_problem

OK = 200

SAME_VIDEO_S = 1e-6


def judge(
    clip: Clip | None, graph: Graph, requests: Sequence[Request], spans: Sequence[SpanLine]
) -> Iterator[Rule]:
    """The rule; none without a response, which breaks another rule."""
    answered = [one for one in requests if one.error is None]
    if not answered:
        return
    problems = [*_of_requests(answered), *_of_videos(answered), *_of_chunks(answered, spans)]
    if clip is not None:
        problems += _with_clip(clip, graph, answered)
    yield CONSISTENT.verdict(
        passed=not problems,
        observed=(
            first_problem(problems) if problems else f"{len(answered)} requests agree with their videos"
        ),
    )


def _of_requests(answered: Sequence[Request]) -> Iterator[str]:
    for one in answered:
        if one.status != OK:
            yield f"request {one.index} counts as answered, but has status {one.status}"
        if one.mismatch and not (one.frames_wrong or one.detections_wrong):
            yield f"request {one.index} has no wrong frame, but a mismatch: {one.mismatch}"
        if not one.frames_wrong and one.frames_got != one.frames_expected:
            counts = f"{one.frames_got} of {one.frames_expected} frames"
            yield f"request {one.index} has no wrong frame, but {counts}"


def _of_videos(answered: Sequence[Request]) -> Iterator[str]:
    """Requests for one video have the same response."""
    same: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for one in answered:
        facts = {
            "digests of frames": one.digest,
            "numbers of frames": one.frames_got,
            "lengths": one.video_s,
        }
        for name, value in facts.items():
            if not one.frames_wrong and value is not None:
                same[one.video][name].add(value)
    for video, facts_of in same.items():
        for name, values in facts_of.items():
            if len(values) > 1:
                yield f"responses for the video {video or 'of the trial'} have {len(values)} different {name}"


def _of_chunks(answered: Sequence[Request], spans: Sequence[SpanLine]) -> Iterator[str]:
    """A chunk of a video has the same encoded bytes in every request."""
    videos = {one.index: one.video for one in answered}
    sizes: dict[tuple[str, int | None], set[int]] = defaultdict(set)
    for span in spans:
        if (span.stage, span.kind) == ("decode", "transfer") and span.request in videos:
            sizes[videos[span.request], span.chunk].add(span.bytes)
    for (_, chunk), values in sizes.items():
        if len(values) > 1:
            yield f"chunk {chunk} of one video had {' and '.join(map(str, sorted(values)[:3]))} bytes"


def _with_clip(clip: Clip, graph: Graph, answered: Sequence[Request]) -> Iterator[str]:
    known = {clip.fingerprint, *(variant["fingerprint"] for variant in clip.variants)}
    for one in answered:
        if one.video and one.video not in known:
            yield f"request {one.index} asked for another video than the trial's: {one.video}"
        if one.frames_expected != clip.frames_expected:
            yield (
                f"request {one.index} was expected to have {one.frames_expected} frames, but the clip has"
                f" {clip.frames_expected}"
            )
        if abs(one.video_s - clip.duration_s) > SAME_VIDEO_S:
            yield (
                f"request {one.index} was for {one.video_s:g} s of video, but the clip has"
                f" {clip.duration_s:g} s"
            )
    if clip.served_detector is not None and graph.model_fingerprint != clip.served_detector:
        yield "the deployed detector is not the one of the reference pass"
