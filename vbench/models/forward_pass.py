"""Forward passes: synchronous on a CPU, asynchronous on a GPU, optionally as CUDA graphs."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vbench.errors import first_line, innermost
from vbench.models.pass_witness import PassWitness
from vbench.models.pinned_memory import SLOTS, Staging
from vbench.models.protocol import ForwardPass, ModelError

Pictures = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]

ForwardFunction = Callable[[Tensor], Tensor]
"""Frames on the device, the batch first -> one tensor on the device, the batch first."""

MAX_FRAME_SHAPES = 4
"""Shapes of frames for which graphs are kept; each graph keeps its tensors."""
BEFORE_CAPTURE = 3
"""Passes before one is captured: libraries set themselves up, and compile, in the first
(docs.pytorch.org, "CUDA Graphs")."""


def graph_frames(frames: int, batch_size: int) -> int:
    """Frames of the graph that works on ``frames``: the next power of two, ``batch_size`` at most."""
    return min(1 << (frames - 1).bit_length(), batch_size)


class Passes(Protocol):
    """Runs forward passes on one device, in order."""

    in_flight: int
    """Batches that should be submitted before the first is waited for."""

    def sizes(self, batch_size: int) -> list[int]:
        """Sizes of batches that the first pass of a trial must not be the first of, the largest first."""

    def submit(self, frames: Pictures) -> Callable[[], Rows]:
        """Start a pass over frames; the function returned waits for it. The frames must not change before."""


class CpuPasses:
    """Each pass runs when it is waited for."""

    in_flight = 1

    def __init__(self, work: ForwardFunction, fill_to: int | None) -> None:
        """``fill_to``: frames that a pass always has, with empty ones in the place of those missing."""
        self._work = work
        self._fill_to = fill_to

    def sizes(self, batch_size: int) -> list[int]:
        """See ``Passes``."""
        return [batch_size]

    def submit(self, frames: Pictures) -> Callable[[], Rows]:
        """See ``Passes``."""

        def wait() -> Rows:
            with torch.inference_mode():
                # A copy, since torch warns of read-only arrays; it is a hundredth of the forward pass.
                pixels = torch.from_numpy(np.array(frames, order="C"))
                return self._work(_filled(pixels, self._fill_to))[: len(frames)].numpy()

        return wait


class GpuPasses:
    """Copy to the device, forward pass, copy back: all asynchronous, in one stream.

    With ``graph`` the pass is captured once for each kind of frames and size of batch, as a CUDA graph: one
    launch stands for the hundreds of a network's, which take longer than the device needs for a small batch.
    The sizes are those of ``graph_frames``; with fewer frames a graph works on what is left of its last
    batch, too, and nobody looks at that.
    """

    in_flight = SLOTS

    def __init__(
        self,
        work: ForwardFunction,
        device: torch.device,
        *,
        batch_size: int,
        threads: int,
        graph: bool,
        compiled: bool,
        witness: PassWitness | None = None,
    ) -> None:
        """``threads``: of the CPU, for copies to page-locked memory; what is ``compiled`` has one shape;
        ``witness``: watches the network, and is notified of replays."""
        self._work = work
        self._witness = witness
        self._device = device
        self._batch_size = batch_size
        self._graph = graph
        self._fill_to = batch_size if compiled else None
        # What is compiled is traced, constants and all; a mode would have it traced again.
        self._mode: type[AbstractContextManager[object]] = nullcontext if compiled else CaptureSafeMode
        self._staging = Staging(device, threads)
        self._compiled = compiled
        self._graphs: dict[tuple[int, ...], dict[int, _Graph]] = {}
        self._memory: Any = None

    def sizes(self, batch_size: int) -> list[int]:
        """See ``Passes``: those of all graphs."""
        if self._compiled or not self._graph:
            return [batch_size]
        return sorted({graph_frames(count, batch_size) for count in range(1, batch_size + 1)}, reverse=True)

    def submit(self, frames: Pictures) -> Callable[[], Rows]:
        """See ``Passes``; ModelError where the pass cannot be captured.

        The copy to page-locked memory is waited for: on a thread of its own it made all of it slower
        (experiments/gpu).
        """
        with torch.inference_mode(), torch.cuda.device(self._device):
            pixels = self._staging.put(frames)
            graph = self._captured(pixels) if self._graph else None
            rows = graph.run(pixels) if graph else self._work(_filled(pixels, self._fill_to))[: len(frames)]
            if graph and self._witness:
                self._witness.replayed(graph.seen)
            there = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            there.copy_(rows, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()

        def wait() -> Rows:
            done.synchronize()
            return there.numpy()

        return wait

    def _captured(self, pixels: Tensor) -> "_Graph | None":
        """The graph for so many frames of this kind; None for those of one kind too many, or for too large a
        batch."""
        if len(pixels) > self._batch_size:
            return None
        kind = tuple(pixels.shape[1:])
        if kind not in self._graphs and len(self._graphs) == MAX_FRAME_SHAPES:
            return None
        of_kind = self._graphs.setdefault(kind, {})
        # A compiled network has one size; another would be compiled again, for minutes.
        size = self._batch_size if self._compiled else graph_frames(len(pixels), self._batch_size)
        if size not in of_kind:
            waiting = self._witness.waiting if self._witness else 0
            graph = _Graph(self._work, pixels.new_zeros(size, *kind), self._memory, self._mode())
            if self._witness:
                graph.seen = self._witness.captured(waiting)
            self._memory = graph.memory
            of_kind[size] = graph
        return of_kind[size]


class CaptureSafeMode(TorchFunctionMode):
    """Replaces what transformers does in each pass and a CUDA graph cannot capture.

    ``tensor[index] = number`` (it writes down the sizes of feature maps) copies the number from memory that
    is not page-locked: filled on the device instead. A check of a tensor's values waits for the device: it
    was made in the passes before, on the same shapes, and is left out.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.__setitem__ and isinstance(args[2], int | float) and _is_view(args[1]):
            return args[0][args[1]].fill_(args[2])
        if func is Tensor._is_all_true:
            return torch.tensor(True)
        return func(*args, **(kwargs or {}))


def _is_view(index: object) -> bool:
    """Whether a tensor with this index is a view of the whole: of others a copy would be filled."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, int | slice) for part in parts)


class _Graph:
    """One captured pass, with the tensors that it reads and writes."""

    def __init__(
        self,
        work: ForwardFunction,
        pixels: Tensor,
        memory: Any,
        mode: AbstractContextManager[object],
    ) -> None:
        """``memory``: the pool of another graph that never runs at the same time, to be used by this one too.

        ``mode``: in which the pass is captured.
        """
        self._pixels = pixels
        beside = torch.cuda.Stream(pixels.device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(BEFORE_CAPTURE):
                work(pixels)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        try:
            # What other threads of the process ask of the device is none of the capture's business.
            with mode, torch.cuda.graph(self._graph, pool=memory, capture_error_mode="thread_local"):
                self._rows = work(pixels)
        except RuntimeError as error:
            raise ModelError(
                f"the model's pass cannot be captured as a CUDA graph ({first_line(innermost(error))}): "
                "use cuda_graph=false"
            ) from error
        self.memory = self._graph.pool()
        self.seen: ForwardPass | None = None
        """The captured pass as the network saw it."""

    def run(self, pixels: Tensor) -> Tensor:
        """The rows of frames, as many as there are; overwritten by the next run."""
        self._pixels[: len(pixels)].copy_(pixels)
        self._graph.replay()
        return self._rows[: len(pixels)]


def _filled(pixels: Tensor, fill_to: int | None) -> Tensor:
    """Padded with black frames to ``fill_to``."""
    missing = (fill_to or 0) - len(pixels)
    return pixels if missing <= 0 else torch.cat((pixels, pixels.new_zeros(missing, *pixels.shape[1:])))
