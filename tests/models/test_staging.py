"""Frames come to the device as they are, in order, whatever becomes of the memory they came from."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vbench.models.staging import Staging


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no GPU that torch can use")
    return torch.device(request.param)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_every_batch_arrives_as_it_was(device: torch.device, sizes: list[int], seed: int) -> None:
    """More batches than slots, smaller and larger in turn, and their memory used again at once."""
    random = np.random.default_rng(seed)
    staging = Staging(device)
    # On a GPU so much that a copy takes its time.
    side = 400 if device.type == "cuda" else 6
    memory = np.empty((max(sizes), side, side, 3), np.uint8)
    expected, arrived = [], []
    for size in sizes:
        frames = memory[:size]
        frames[:] = random.integers(0, 256, frames.shape, np.uint8)
        expected.append(frames.copy())
        arrived.append(staging.put(frames))
        frames[:] = 0
    for frames, tensor in zip(expected, arrived, strict=True):
        assert tensor.device.type == device.type
        assert np.array_equal(tensor.cpu().numpy(), frames)


def test_memory_that_cannot_be_written_is_taken(device: torch.device) -> None:
    frames = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    frames.flags.writeable = False
    assert np.array_equal(Staging(device).put(frames).cpu().numpy(), frames)
