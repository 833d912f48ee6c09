"""The shapes detector on a GPU finds what it finds on the CPU, and decides rightly without waiting for it."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.agreeing import agree, needs_gpu
from vbench.models.nms import suppress
from vbench.models.protocol import Detector
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.models.shapes import AT_ONCE, SUPPRESS_ABOVE, ShapesDetector, decide_at_once
from vbench.models.torch_detector import DROPPED, KEPT, NEEDS_HOST_NMS, pack_rows
from vbench.video.scene import Scene, SceneSettings

Pictures = npt.NDArray[np.uint8]


@needs_gpu
@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("side", [(360, 640), (540, 960), (640, 360)])
def test_a_gpu_finds_what_the_cpu_finds_in_batches_of_any_length(
    detector: Detector, graph: bool, side: tuple[int, int]
) -> None:
    scene = Scene(SceneSettings(width=side[1], height=side[0], seed=78))
    frames = np.stack([scene.frame(25 * i) for i in range(11)])
    there = create(ModelSettings(device="cuda", batch_size=4, cuda_graph=graph), threads=2)
    there.load()
    assert there.in_flight == 2
    for count in (11, 1, 4, 3, 9):
        for first, second in zip(detector.detect(frames[:count]), there.detect(frames[:count]), strict=True):
            agree(first, second)


@needs_gpu
def test_kinds_and_sizes_of_batches_in_turn_keep_out_of_each_others_memory(detector: Detector) -> None:
    there = create(ModelSettings(device="cuda", batch_size=8))
    there.load()
    scenes = [Scene(SceneSettings(width=w, height=h, seed=80)) for w, h in ((640, 360), (960, 540))]
    kinds = [np.stack([scene.frame(25 * i) for i in range(11)]) for scene in scenes]
    for count in (8, 3, 11, 1, 8, 5):
        for frames in kinds:
            batch = frames[:count]
            for first, second in zip(detector.detect(batch), there.detect(batch), strict=True):
                agree(first, second)


@needs_gpu
@pytest.mark.parametrize("graph", [True, False])
def test_a_gpu_leaves_crowded_frames_to_the_host(detector: Detector, frames: Pictures, graph: bool) -> None:
    there = ShapesDetector(ModelSettings(device="cuda", cuda_graph=graph))
    there.at_once = 1
    there.load()
    for first, second in zip(detector.detect(frames), there.detect(frames), strict=True):
        assert len(first.classes) > 3
        agree(first, second)


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(2, 40), st.sampled_from([1, AT_ONCE]))
def test_what_is_decided_at_once_is_what_suppression_decides(
    seed: int, count: int, spread: int, at_once: int
) -> None:
    """Crowded or not: the frame is decided rightly, or left undecided as a whole."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, spread, (1, count, 2))
    boxes = torch.tensor(np.concatenate((corners, corners + 5), -1), dtype=torch.float32)
    # Candidates come first, as scores are in order.
    candidate = (torch.arange(count) < random.integers(1, count + 1))[None]
    verdicts = decide_at_once(boxes, candidate, at_once)
    if (verdicts == NEEDS_HOST_NMS).any():
        assert (verdicts == NEEDS_HOST_NMS).all()
    else:
        assert candidate.sum() <= at_once
        assert torch.equal(verdicts == KEPT, suppress(boxes, candidate, SUPPRESS_ABOVE))


def test_undecided_frames_are_decided_by_suppression(detector: Detector) -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]]).expand(2, -1, -1)
    scores = torch.tensor([[0.9, 0.8, 0.2]]).expand(2, -1)
    verdicts = torch.tensor([[NEEDS_HOST_NMS] * 3, [DROPPED, KEPT, DROPPED]], dtype=torch.float32)
    rows = pack_rows(boxes, scores, torch.zeros(2, 3, dtype=torch.int64), verdicts).numpy()

    assert isinstance(detector, ShapesDetector)
    assert detector.kept_rows(rows).tolist() == [[True, False, False], [False, True, False]]
