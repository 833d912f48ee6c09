"""What crosses between processes: stamped on arrival, and without a copy of its arrays."""

import copy
import pickle
import time
from fractions import Fraction

import numpy as np
import pytest
import ray

from tests.pipeline.serving import Cluster
from vbench.pipeline.messages import ChunkMessage, FramesMessage, InferenceCall
from vbench.pipeline.replica import CallReport
from vbench.pipeline.spans import ReplicaId, Span, SpanRecorder
from vbench.video.types import Chunk, FrameGeometry, Frames, VideoInfo

GEOMETRY = FrameGeometry.fitted(32, 16, 32, 16, "stretch")
REPORT = CallReport(sender=ReplicaId(node="n", replica="r"), deployment_id="", settings={}, number=1)
SPAN = Span(stage="decode", kind="compute", chunk=3, node="n", replica="r", start_s=1.0, end_s=2.5)


def frames_message(count: int = 200) -> FramesMessage:
    pixels = np.arange(count * GEOMETRY.frame_bytes, dtype=np.uint8).reshape(count, 16, 32, 3)
    frames = Frames(pts=np.arange(count), pixels=pixels, geometry=GEOMETRY)
    return FramesMessage(chunk=3, frames=frames, spans=[SPAN], decoded_s=5.0, report=REPORT)


def chunk_message() -> ChunkMessage:
    info = VideoInfo(
        path="/a.mp4",
        container="mov",
        codec="h264",
        pixel_format="yuv420p",
        coded_width=32,
        coded_height=16,
        rotation=0,
        time_base=Fraction(1, 90000),
        first_pts=0,
        end_pts=90000,
        frames=30,
        size_bytes=1,
    )
    payload = np.zeros(1_000_000, np.uint8)
    chunk = Chunk(
        info=info,
        index=0,
        start_s=0.0,
        end_s=1.0,
        sampled_pts=np.arange(30),
        payload=payload,
        pts_shift=0,
        packets=30,
    )
    return ChunkMessage(chunk=chunk, geometry=GEOMETRY, sent_s=1.0)


def test_a_message_knows_when_it_arrived_and_not_before() -> None:
    service = ReplicaId(node="n", replica="VideoProcessingService#1")
    sent = InferenceCall(
        sent_s=1.0, sender=service, is_combined=True, is_relayed=False, is_deferred=True, is_prefetched=False
    )
    before = time.time()

    got: InferenceCall = pickle.loads(pickle.dumps(sent))

    assert got == sent
    assert before <= got.arrival_s <= time.time()
    with pytest.raises(RuntimeError, match="InferenceCall was used as if received"):
        _ = sent.arrival_s


def test_a_message_that_is_passed_on_is_stamped_anew() -> None:
    first: FramesMessage = pickle.loads(pickle.dumps(frames_message()))
    first.arrived_s = 1.0

    second: FramesMessage = pickle.loads(pickle.dumps(first))

    assert second.arrival_s > 1.0
    assert copy.copy(first).arrival_s > 1.0


def test_arrays_travel_out_of_band_with_nothing_copied() -> None:
    message = frames_message()
    buffers: list[pickle.PickleBuffer] = []

    text = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)

    assert len(text) < 2000
    assert sum(buffer.raw().nbytes for buffer in buffers) == message.nbytes


@pytest.mark.long
@pytest.mark.slow
def test_ray_hands_out_read_only_views_of_the_arrays(cluster: Cluster) -> None:
    assert cluster
    frames: FramesMessage = ray.get(ray.put(frames_message()))
    chunk: ChunkMessage = ray.get(ray.put(chunk_message()))

    assert np.array_equal(frames.frames.pixels, frames_message().frames.pixels)
    assert frames.spans == [SPAN]
    for array in (frames.frames.pixels, frames.frames.pts, chunk.chunk.payload, chunk.chunk.sampled_pts):
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert array.flags.c_contiguous
    assert frames.arrived_s is not None


def test_spans_name_the_place_they_ended_at() -> None:
    recorder = SpanRecorder(ReplicaId(node="n", replica="r"))

    recorder.add("decode", "compute", 3, 1.0, 2.5)
    recorder.add("infer", "transfer", None, 2.0, 1.5, 100)

    assert recorder.spans[0] == SPAN
    assert SPAN.duration_s == 1.5
    assert (recorder.spans[1].bytes, recorder.spans[1].duration_s) == (100, -0.5)
