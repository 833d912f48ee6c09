"""How a response is assembled, and that it is never incomplete."""

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from vbench.pipeline.api_schema import Answer, ProcessRequest
from vbench.pipeline.chunk_source import ChunkSpan
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.errors import IncompleteError, VideoMissingError, cause_of, status_of
from vbench.pipeline.messages import ChunkFindings, InferenceReply
from vbench.pipeline.replica import CallReport
from vbench.pipeline.reports import CallWork, ReplicaReport
from vbench.pipeline.request_settings import RequestSettings
from vbench.pipeline.response import assemble
from vbench.pipeline.spans import ReplicaId, Span
from vbench.record.requests import SpanLine
from vbench.record.typed_json import reader
from vbench.video.digest import combine
from vbench.video.errors import VideoError, VideoTimeoutError, VideoTooLargeError
from vbench.video.fetch.download import LocalVideo
from vbench.video.types import VideoInfo

INFO = VideoInfo(
    path="/a.mp4",
    container="mov",
    codec="h264",
    pixel_format="yuv420p",
    coded_width=64,
    coded_height=32,
    rotation=90,
    time_base=Fraction(1, 10),
    first_pts=5,
    end_pts=45,
    frames=40,
    size_bytes=1000,
)
CHUNKS = [
    ChunkSpan(index=0, start_s=0.0, end_s=2.0, targets=np.array([5, 15])),
    ChunkSpan(index=1, start_s=2.0, end_s=3.0, targets=np.array([], np.int64)),
    ChunkSpan(index=2, start_s=3.0, end_s=4.0, targets=np.array([35])),
]
SPANS = [
    Span(stage="infer", kind="compute", chunk=0, node="m", replica="b", start_s=3.0, end_s=4.0),
    Span(stage="chunk", kind="compute", chunk=0, node="s", replica="a", start_s=1.0, end_s=2.0),
]


def findings(chunk: int, pts: Sequence[int], counts: Sequence[int]) -> ChunkFindings:
    total = sum(counts)
    return ChunkFindings(
        chunk=chunk,
        pts=np.array(pts),
        digests=[f"{one:032x}" for one in pts],
        counts=np.array(counts),
        classes=np.arange(total) % 2,
        scores=np.linspace(0.9, 0.5, total, dtype=np.float32),
        boxes=np.arange(4 * total, dtype=np.float32).reshape(total, 4),
        frame_bytes=100 * len(pts),
    )


FOUND = [findings(0, [5, 15], [2, 0]), findings(2, [35], [1])]


def reply(*found: ChunkFindings, fingerprint: str = "f") -> InferenceReply:
    return InferenceReply(
        findings=list(found),
        spans=SPANS[:1],
        class_names=("disc", "star"),
        fingerprint=fingerprint,
        reports=[report("VideoDecoder#d", number=chunk.chunk + 1, frames=len(chunk.pts)) for chunk in found]
        + [report("ModelInference#m", number=1, frames=3, batches=2)],
    )


def report(replica: str, **call: int) -> CallReport:
    return CallReport(
        sender=ReplicaId(node="n", replica=replica), deployment_id="id", settings={"threads": 1}, **call
    )


def written(replies: Sequence[InferenceReply], chunks: Sequence[ChunkSpan] = CHUNKS) -> bytes:
    return assemble(
        job=RequestSettings.of(ProcessRequest(video="/a.mp4", fps="1/2"), PipelineArgs(mode="combined")),
        info=INFO,
        local=LocalVideo(path=Path(INFO.path), display_name="/a.mp4"),
        chunks=chunks,
        replies=replies,
        spans=SPANS[1:],
        reports=[report("VideoProcessingAPI#a", number=7), report("VideoProcessingService#s", number=4)],
        received_s=0.5,
        finished_s=5.0,
    )


def answered(replies: Sequence[InferenceReply]) -> Answer:
    return Answer.model_validate_json(written(replies))


@pytest.mark.parametrize("replies", [[reply(*FOUND)], [reply(FOUND[1]), reply(FOUND[0])]])
def test_an_answer_holds_every_frame_in_order_whatever_order_it_came_in(
    replies: list[InferenceReply],
) -> None:
    answer = answered(replies)

    frames = [frame for chunk in answer.chunks for frame in chunk.frames]
    assert [(frame.pts, frame.time_s) for frame in frames] == [(5, 0.0), (15, 1.0), (35, 3.0)]
    assert [len(frame.detections) for frame in frames] == [2, 0, 1]
    assert [found.class_name for found in frames[0].detections] == ["disc", "star"]
    assert frames[0].detections[1].box == [4.0, 5.0, 6.0, 7.0]
    assert [len(chunk.frames) for chunk in answer.chunks] == [2, 0, 1]
    assert answer.digest == combine([f"{pts:032x}" for pts in (5, 15, 35)])
    assert answer.counts.by_class == {"disc": 2, "star": 1}
    assert (answer.counts.chunks, answer.counts.frames, answer.counts.detections) == (3, 3, 3)
    assert answer.counts.frame_bytes == 300
    assert (answer.video.width, answer.video.height) == (32, 64)
    assert (answer.settings.mode, answer.settings.fps, answer.settings.chunk_s) == ("combined", "1/2", "300")
    starts = [span.start_s for span in answer.spans]
    assert starts == sorted(starts)


def test_an_answer_says_which_replicas_worked_on_it_and_in_which_of_their_calls() -> None:
    answer = answered([reply(*FOUND)])

    assert {one.replica: one.calls for one in answer.replicas} == {
        "VideoProcessingAPI#a": [(7, 0, 0)],
        "VideoProcessingService#s": [(4, 0, 0)],
        "VideoDecoder#d": [(1, 2, 0), (3, 1, 0)],
        "ModelInference#m": [(1, 3, 2)],
    }
    assert {one.deployment_id for one in answer.replicas} == {"id"}


def test_settings_that_change_during_a_request_are_all_named() -> None:
    sender = ReplicaId(node="n", replica="ModelInference#m")
    reports = [
        CallReport(
            sender=sender,
            deployment_id="id",
            settings={"threads": threads, "device": "cpu"},
            number=number,
            work=CallWork(call=number, passes=[(number, 3)], pass_cpu_ms=2.5),
        )
        for number, threads in enumerate([1, 8, 1])
    ]
    (one,) = answered([replace(reply(*FOUND), reports=reports)]).replicas[2:]

    assert one.settings == {"threads": "1, 8", "device": "cpu"}
    assert [(work.call, work.passes, work.pass_cpu_ms) for work in one.work] == [
        (number, [(number, 3)], 2.5) for number in range(3)
    ]


def test_an_answer_has_all_fields_and_no_more() -> None:
    raw = written([reply(*FOUND)])
    answer = Answer.model_validate_json(raw)

    assert json.loads(raw) == answer.model_dump(mode="json")
    assert list(answer.spans) == [SPANS[1], SPANS[0]]


def test_writing_an_answer_takes_memory_for_its_bytes_and_not_for_all_it_tells_of() -> None:
    chunks = [ChunkSpan(index=n, start_s=0.0, end_s=1.0, targets=np.arange(9) + 9 * n) for n in range(300)]
    found = [findings(chunk.index, chunk.targets.tolist(), [10] * 9) for chunk in chunks]
    replies = [reply(each) for each in found]
    tracemalloc.start()
    try:
        nbytes = len(written(replies, chunks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # As parts and joined.
    assert peak < 2.5 * nbytes


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([reply(FOUND[0])], "chunk 2 should have 1 frames; the model returned 0"),
        ([reply(findings(0, [5], [0]), FOUND[1])], "chunk 0 should have 2 frames; the model returned 1"),
        ([reply(findings(0, [5, 16], [0, 0]), FOUND[1])], "the model returned 2, of which 1 were requested"),
        ([reply(findings(0, [15, 5], [0, 0]), FOUND[1])], "chunk 0 should have 2 frames"),
        ([reply(*FOUND), reply(FOUND[1])], "chunk 2 came back from the model twice"),
        ([reply(*FOUND, findings(7, [99], [0]))], r"chunks \[7\], which do not exist"),
        ([reply(replace(FOUND[0], digests=["0"]), FOUND[1])], "findings of chunk 0 do not match its frames"),
        ([reply(replace(FOUND[0], counts=np.array([2, 1])), FOUND[1])], "do not match its frames"),
        ([reply(FOUND[0]), reply(FOUND[1], fingerprint="g")], "must be processed by one model, not by"),
        ([], "must be processed by one model, not by"),
    ],
)
def test_an_answer_with_less_or_else_is_an_error(replies: list[InferenceReply], reason: str) -> None:
    with pytest.raises(IncompleteError, match=reason):
        answered(replies)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VideoMissingError("no file"), 404),
        (VideoTooLargeError("too large"), 413),
        (VideoError("damaged"), 422),
        (VideoTimeoutError("slow"), 504),
    ],
)
def test_errors_keep_status_and_sentence_through_rays_wrappings(error: VideoError, status: int) -> None:
    wrapped: BaseException = error
    for name in ("decode", "infer", "process"):
        wrapped = RayTaskError(name, "a traceback", wrapped).as_instanceof_cause()

    assert cause_of(wrapped) is error
    assert status_of(wrapped) == (status, str(error))


def test_a_lost_replica_is_500_with_the_first_line_of_rays_reason() -> None:
    status, sentence = status_of(ActorDiedError())

    assert status == 500
    assert sentence.startswith("A replica or node was lost while it worked on this request: ")
    assert "\n" not in sentence


def test_anything_else_is_500_with_its_kind() -> None:
    assert status_of(KeyError("x")) == (500, "KeyError: 'x'")


def test_a_record_holds_spans_and_reports_as_the_response_has_them() -> None:
    response = json.loads(written([reply(*FOUND)]))
    spans = [reader(SpanLine)({"request": 3, **span}) for span in response["spans"]]
    replicas = [reader(ReplicaReport)(report) for report in response["replicas"]]

    assert [asdict(span) for span in spans] == [{"request": 3, **span} for span in response["spans"]]
    assert [json.loads(json.dumps(asdict(report))) for report in replicas] == response["replicas"]
    assert {field.name for field in fields(SpanLine)} == {field.name for field in fields(Span)} | {"request"}
