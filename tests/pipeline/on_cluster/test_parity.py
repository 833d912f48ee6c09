"""Every way through the pipeline sees the same frames and finds the same objects as one pass without Ray."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.pipeline.serving import (
    Cluster,
    Reference,
    Service,
    assert_same_detections,
    iou,
    pipeline_args,
    reference_pass,
)
from tests.support.waiting import until
from vbench.models.inputs import input_spec
from vbench.pipeline.api_schema import Answer
from vbench.pipeline.config import PipelineArgs
from vbench.video.scene import load_truth
from vbench.video.types import FrameGeometry, VideoInfo

pytestmark = pytest.mark.slow

VARIANTS = {
    "direct-model-overlap": {},
    "relay-model-held": {"handoff": "relay", "overlap": False},
    "direct-native-yuv-held": {"frame_size": "native", "pixel_format": "yuv420p", "overlap": False},
    "relay-native-overlap": {"handoff": "relay", "frame_size": "native", "prune": False},
}


LESS_OFTEN = ("relay-model-held", "direct-native-yuv-held")
"""The other two have each of their values once."""

SETTINGS = [
    pytest.param(settings, id=name, marks=pytest.mark.long if name in LESS_OFTEN else ())
    for name, settings in VARIANTS.items()
]


@pytest.fixture(scope="module", params=SETTINGS)
def args(request: pytest.FixtureRequest) -> PipelineArgs:
    return pipeline_args(**request.param)


@pytest.fixture(scope="module")
def service(cluster: Cluster, args: PipelineArgs) -> Iterator[Service]:
    with cluster.deployed(**args.model_dump(exclude_unset=True)) as running:
        yield running


@pytest.fixture(scope="module")
def answers(service: Service, clip: Path) -> dict[str, Answer]:
    return {mode: service.ask(clip, mode=mode) for mode in ("chunked", "combined")}


@pytest.fixture(scope="module")
def reference(clip: Path, args: PipelineArgs) -> Reference:
    def geometry(info: VideoInfo) -> FrameGeometry:
        spec = input_spec("shapes")
        if args.frame_size == "native":
            return FrameGeometry.native(info, args.pixel_format)
        return FrameGeometry.fitted(
            info.width, info.height, spec.width, spec.height, spec.fit, args.pixel_format
        )

    return reference_pass(clip, args, geometry, Fraction(2))


@pytest.mark.parametrize("mode", ["chunked", "combined"])
def test_answer_holds_the_frames_of_one_pass_once_each_identical_to_the_bit(
    answers: dict[str, Answer], reference: Reference, mode: str
) -> None:
    frames = [frame for chunk in answers[mode].chunks for frame in chunk.frames]

    assert [frame.pts for frame in frames] == reference.pts
    assert [frame.digest for frame in frames] == reference.digests
    assert answers[mode].digest == answers["chunked"].digest
    assert answers[mode].counts.frames == 24


@pytest.mark.parametrize("mode", ["chunked", "combined"])
def test_detections_agree_with_one_pass(answers: dict[str, Answer], reference: Reference, mode: str) -> None:
    frames = [frame for chunk in answers[mode].chunks for frame in chunk.frames]

    for frame, expected in zip(frames, reference.detections, strict=True):
        assert_same_detections(frame.detections, expected)
    assert answers[mode].counts.detections == sum(map(len, reference.detections)) > 0


def test_boxes_lie_on_the_scenes_objects_in_source_pixels(answers: dict[str, Answer], clip: Path) -> None:
    truth = load_truth(clip)
    frames = [frame for chunk in answers["chunked"].chunks for frame in chunk.frames]

    hits = [
        any(found.class_name == true.class_name and iou(found.box, true.box) > 0.5 for true in boxes)
        for frame in frames
        for boxes in [truth.at_time(frame.time_s)]
        for found in frame.detections
    ]

    assert sum(hits) >= 0.7 * len(hits) > 0


@pytest.mark.parametrize("mode", ["chunked", "combined"])
def test_each_chunk_has_the_spans_that_the_table_says(
    answers: dict[str, Answer], args: PipelineArgs, mode: str
) -> None:
    answer = answers[mode]
    expected = {("chunk", "queue"): 1, ("chunk", "compute"): 1}
    expected |= {("decode", kind): 1 for kind in ("transfer", "queue", "compute")}
    whole = {("chunk", "queue"): 2, ("chunk", "compute"): 1}
    relayed, held = args.handoff == "relay", mode == "combined" or not args.overlap
    once = {("infer", kind): 1 for kind in ("transfer", "queue", "compute")}
    if mode == "combined":
        whole |= once
        ahead = args.handoff == "direct" and args.overlap
        expected |= {("infer", "queue"): 1} | ({("infer", "transfer"): 1} if relayed or ahead else {})
    else:
        expected |= once
        expected["infer", "queue"] += held or relayed
        expected["infer", "transfer"] += relayed

    for index in (None, *range(6)):
        spans = [(span.stage, span.kind) for span in answer.spans if span.chunk == index]
        counted = {which: spans.count(which) for which in spans}
        assert counted == (whole if index is None else expected), index


@pytest.mark.parametrize("mode", ["chunked", "combined"])
def test_spans_follow_each_other_without_gap_or_overlap_along_a_chunks_way(
    answers: dict[str, Answer], mode: str
) -> None:
    answer = answers[mode]
    for span in answer.spans:
        # One machine has one clock, but time.time() may be set back by a hair.
        assert answer.received_s - 1e-3 <= span.start_s <= span.end_s + 1e-3 <= answer.finished_s + 2e-3
    for index in range(6):
        way = [span for span in answer.spans if span.chunk == index]
        if mode == "combined":
            way += [span for span in answer.spans if span.chunk is None and span.stage == "infer"]
        way.sort(key=lambda span: (span.start_s, span.end_s))
        for before, after in pairwise(way):
            assert before.end_s <= after.start_s + 1e-3, (before, after)
            # Between them lie only a message's making and the service's noticing that a frame is there.
            assert after.start_s - before.end_s < 5, (before, after)


def test_each_wait_is_booked_where_it_ended(answers: dict[str, Answer]) -> None:
    for span in answers["combined"].spans:
        held = (span.stage, span.kind) == ("infer", "queue") and span.chunk is not None
        stage = {"chunk": "VideoProcessingService", "decode": "VideoDecoder", "infer": "ModelInference"}
        if (span.stage, span.kind) != ("infer", "transfer"):
            where = "VideoProcessingService" if held else stage[span.stage]
            assert span.replica.startswith(where), span


def test_inference_overlaps_decoding_only_where_it_may(
    answers: dict[str, Answer], args: PipelineArgs
) -> None:
    for mode, answer in answers.items():
        first_inference = min(s.start_s for s in answer.spans if (s.stage, s.kind) == ("infer", "compute"))
        last_decoded = max(s.end_s for s in answer.spans if (s.stage, s.kind) == ("decode", "compute"))
        assert (first_inference < last_decoded) == (mode == "chunked" and args.overlap)


def test_combined_frames_travel_while_others_are_decoded_only_where_they_may(
    answers: dict[str, Answer], args: PipelineArgs
) -> None:
    spans = answers["combined"].spans
    arrived_s = [
        span.end_s
        for span in spans
        if (span.stage, span.kind) == ("infer", "transfer") and span.replica.startswith("ModelInference")
    ]
    last_decoded_s = max(s.end_s for s in spans if (s.stage, s.kind) == ("decode", "compute"))
    (whole,) = (s for s in spans if (s.stage, s.kind, s.chunk) == ("infer", "transfer", None))
    ahead = args.handoff == "direct" and args.overlap

    assert (min(arrived_s) < last_decoded_s) == ahead
    assert (whole.bytes == 0) == ahead


@pytest.mark.parametrize("mode", ["chunked", "combined"])
def test_frames_pass_the_services_node_only_when_relayed(
    cluster: Cluster, service: Service, args: PipelineArgs, clip: Path, mode: str
) -> None:
    for _ in range(2):  # which way they take must not depend on what is faster
        before = cluster.store(cluster.front).created_bytes

        answer = service.ask(clip, mode=mode)

        written = cluster.store(cluster.front).created_bytes - before
        payloads = sum(span.bytes for span in answer.spans if span.stage == "decode")
        transfers = [span for span in answer.spans if (span.stage, span.kind) == ("infer", "transfer")]
        nodes, handed_over = {span.node for span in transfers}, sum(span.bytes for span in transfers)
        pixels = answer.counts.frame_bytes
        if args.handoff == "direct":
            assert nodes == {cluster.back}
            assert written < payloads + 100_000
            assert pixels <= handed_over < 1.01 * pixels
        else:
            assert nodes == {cluster.front, cluster.back}
            assert written >= 2 * pixels
            assert 2 * pixels <= handed_over < 2.01 * pixels


def test_no_frames_stay_in_the_object_stores_after_an_answer(
    cluster: Cluster, service: Service, clip: Path
) -> None:
    for mode in ("chunked", "combined"):
        answer = service.ask(clip, mode=mode)
        one_chunk = answer.counts.frame_bytes / 6

        def less_than_one_chunk(most: float = one_chunk) -> bool:
            used = [cluster.store(node).used_bytes for node in (cluster.front, cluster.back)]
            return max(used) < 0.75 * most

        # Serve keeps some 0.5 MB of its own there.
        until(less_than_one_chunk, "frames are freed", 30)


def test_window_bounds_the_chunks_between_split_and_answer(answers: dict[str, Answer]) -> None:
    spans = answers["chunked"].spans
    split_s = {s.chunk: s.end_s for s in spans if s.stage == "chunk" and s.kind == "compute"}
    done_s = sorted(s.end_s for s in spans if (s.stage, s.kind) == ("decode", "compute"))

    for index in range(2, 6):
        assert split_s[index] >= done_s[index - 2]
