"""Frames on their way to a GPU: by page-locked memory, while it computes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SLOTS = 2
"""One is copied from while the other is filled."""
PART_BYTES = 4 * 2**20
"""What a thread copies at least: smaller parts cost more to hand out than they save."""


@dataclass(slots=True)
class _Slot:
    """Page-locked memory, and the moment when the last copy from it was done."""

    memory: Tensor
    copied: torch.cuda.Event


class Staging:
    """Brings batches to one GPU, in order.

    A copy to a GPU from memory that the system may move is made twice, and waited for. From page-locked
    memory the GPU's copy engine makes it, on a stream beside that of the computation, which waits for its
    batch alone (docs.pytorch.org, "non_blocking and pin_memory").
    """

    def __init__(self, device: torch.device, threads: int = 1) -> None:
        """``threads``: of the CPU, which share the copy to page-locked memory."""
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._slots: list[_Slot] = []
        self._turn = 0
        self._parts = threads
        self._threads = ThreadPoolExecutor(max(1, threads - 1), "staging")

    def put(self, frames: npt.NDArray[np.uint8]) -> Tensor:
        """The frames as a tensor on the device, of the same shape; later changes to ``frames`` do not show.

        It can be used by the current stream at once, though the copy may still go on.
        """
        slot = self._slot(frames.shape)
        staged = slot.memory[: frames.size].view(frames.shape)
        self._copy(staged.numpy(), frames)
        with torch.cuda.stream(self._stream):
            there = staged.to(self._device, non_blocking=True)
            slot.copied.record(self._stream)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(slot.copied)
        # The memory is the copying stream's: the other must be known to use it before it is given away.
        there.record_stream(computing)
        return there

    def _copy(self, to: npt.NDArray[np.uint8], frames: npt.NDArray[np.uint8]) -> None:
        parts = min(self._parts, len(frames), max(1, frames.nbytes // PART_BYTES))
        cuts = [len(frames) * part // parts for part in range(parts + 1)]
        first, *others = pairwise(cuts)
        copies = [self._threads.submit(np.copyto, to[start:end], frames[start:end]) for start, end in others]
        np.copyto(to[: first[1]], frames[: first[1]])
        for copy in copies:
            copy.result()

    def _slot(self, shape: Sequence[int]) -> _Slot:
        """The next slot, its last copy done, with room for so much."""
        size = prod(shape)
        turn = self._turn
        self._turn = (turn + 1) % SLOTS
        if turn < len(self._slots):
            slot = self._slots[turn]
            slot.copied.synchronize()
            if slot.memory.numel() >= size:
                return slot
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        fresh = _Slot(torch.empty(size, dtype=torch.uint8, pin_memory=True), copied)
        self._slots[turn : turn + 1] = [fresh]
        return fresh
