"""How much object store memory a request asks for, before anything of it is decoded."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.memory_budget import Footprint, footprint
from vbench.pipeline.request_settings import RequestSettings

NATIVE_BYTES, MODEL_BYTES = 480 * 360 * 3, 640 * 360 * 3


def wanted(clip: Path, mode: str = "chunked", **changes: Any) -> Footprint:
    """For the clip of 12 s at 2 frames/s, in chunks of 5, 5 and 2 s: 10, 10 and 4 frames."""
    args = PipelineArgs.model_validate({"window": 1, "chunk_s": 5, "fps": 2} | changes)
    job = RequestSettings.of(ProcessRequest.model_validate({"video": str(clip), "mode": mode}), args)
    with job.splitter(clip) as splitter:
        return footprint(job, splitter, frame_geometry(args, splitter.info))


def test_combined_holds_all_frames_of_the_video(clip: Path) -> None:
    held = wanted(clip, "combined")

    assert held.nbytes == 24 * MODEL_BYTES
    assert held.arithmetic == "24 frames x 640 x 360 x 3 bytes"


def test_chunked_holds_the_largest_chunks_of_its_window(clip: Path) -> None:
    assert wanted(clip).nbytes == 10 * MODEL_BYTES
    assert wanted(clip, window=2).nbytes == 20 * MODEL_BYTES
    assert wanted(clip, window=8).nbytes == 24 * MODEL_BYTES


def test_chunks_hold_no_more_than_chunk_mb_whatever_their_seconds(clip: Path) -> None:
    # Its GOPs of 2 s have 4 of the frames each; the last of three chunks has what is left.
    bound = 10 * MODEL_BYTES / 1e6

    assert wanted(clip, chunk_s=300).nbytes == 24 * MODEL_BYTES
    assert wanted(clip, chunk_s=300, chunk_mb=bound).nbytes == 8 * MODEL_BYTES
    assert wanted(clip, chunk_s=300, chunk_mb=bound, window=2).nbytes == 16 * MODEL_BYTES
    assert wanted(clip, chunk_s=300, chunk_mb=1e-6).nbytes == MODEL_BYTES


def test_yuv420p_frames_take_half_the_room(clip: Path) -> None:
    held = wanted(clip, "combined", pixel_format="yuv420p")

    assert held.nbytes == 24 * MODEL_BYTES // 2
    assert held.arithmetic == "24 frames x 640 x 360 x 1.5 bytes"


def test_chunked_without_overlap_holds_all_frames(clip: Path) -> None:
    assert wanted(clip, overlap=False).nbytes == 24 * MODEL_BYTES


def test_relayed_frames_lie_twice_in_the_services_store(clip: Path) -> None:
    held = wanted(clip, "combined", handoff="relay", frame_size="native")

    assert held.nbytes == 2 * 24 * NATIVE_BYTES
    assert held.arithmetic.endswith("x 2 copies in the service's object store (handoff: relay)")


@pytest.mark.parametrize(("fps", "expected"), [(None, Fraction(3)), ("30000/1001", Fraction(30000, 1001))])
def test_what_a_request_leaves_out_is_as_deployed(fps: str | None, expected: Fraction) -> None:
    args = PipelineArgs(mode="combined", fps=3, chunk_s=0.5)

    job = RequestSettings.of(ProcessRequest(video="/a.mp4", fps=fps), args)

    assert (job.mode, job.fps, job.chunk_s) == ("combined", expected, Fraction(1, 2))
