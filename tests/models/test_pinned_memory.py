"""Frames come to the GPU as they are, in order, whatever becomes of the memory they came from."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.agreeing import needs_gpu
from vbench.models.pinned_memory import Staging

pytestmark = needs_gpu


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    threads=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_batch_arrives_as_it_was(sizes: list[int], threads: int, seed: int) -> None:
    """More batches than slots, smaller and larger in turn, and their memory used again at once."""
    random = np.random.default_rng(seed)
    staging = Staging(torch.device("cuda"), threads)
    memory = np.empty((max(sizes), 400, 400, 3), np.uint8)
    expected, arrived = [], []
    for size in sizes:
        frames = memory[:size]
        frames[:] = random.integers(0, 256, frames.shape, np.uint8)
        expected.append(frames.copy())
        arrived.append(staging.put(frames))
        frames[:] = 0
    for frames, tensor in zip(expected, arrived, strict=True):
        assert tensor.is_cuda
        assert np.array_equal(tensor.cpu().numpy(), frames)


def test_memory_that_cannot_be_written_is_taken() -> None:
    frames = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    frames.flags.writeable = False
    assert np.array_equal(Staging(torch.device("cuda")).put(frames).cpu().numpy(), frames)
