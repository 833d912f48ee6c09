"""The common part of detectors in torch: device, precision, layout, batches, preprocessing, compilation."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vbench.errors import first_line
from vbench.models.forward_pass import CpuPasses, GpuPasses, Passes, Rows
from vbench.models.inputs import input_spec
from vbench.models.malloc import keep_large_blocks
from vbench.models.pass_witness import PassWitness
from vbench.models.preprocess import fitted, picture_size, to_pictures
from vbench.models.protocol import Detections, ForwardPass, InputSpec, ModelError
from vbench.models.settings import ModelSettings, Precision
from vbench.video.types import FrameGeometry

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

Predictions = tuple[Tensor, ...]
"""What a network gives, the batch first, in float32."""

KEPT, DROPPED, NEEDS_HOST_NMS = 1, 0, -1


def pack_rows(boxes: Tensor, scores: Tensor, classes: Tensor, verdicts: Tensor) -> Tensor:
    """float32[N, K, 7], a row for each box of a frame, best score first: one tensor is one copy to the host.

    ``boxes`` [N, K, 4] in the network's pixels; the others [N, K]; ``verdicts``: KEPT, DROPPED or
    NEEDS_HOST_NMS.
    """
    return torch.cat(
        (boxes, torch.stack((scores, classes.to(scores.dtype), verdicts.to(scores.dtype)), dim=-1)), dim=-1
    )


class TorchDetector(ABC):
    """``Detector`` around a network; see the protocol for its methods."""

    def __init__(self, settings: ModelSettings, threads: int = 1) -> None:
        """ModelError for a value that no network can have."""
        _check(settings, threads)
        self.settings = settings
        self.threads = threads
        self._input = input_spec(settings.name)
        self._passes: Passes | None = None
        self._witness = PassWitness(settings)
        self._dtype = DTYPES[settings.precision]
        self._layout = torch.channels_last if settings.channels_last else torch.contiguous_format

    @property
    def input(self) -> InputSpec:
        """The frame size it works at."""
        return self._input

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names by class index."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of code version, weights and settings."""

    def fingerprinted_settings(self) -> dict[str, str | int | float | bool]:
        """The part of the fingerprint that is neither code nor weights: all that detections may depend on."""
        settings = asdict(self.settings)
        del settings["weights"], settings["batch_wait_ms"]
        return {**settings, "threads": self.threads}

    @property
    def in_flight(self) -> int:
        """Batches that should be submitted before the first is waited for; 1 before it is loaded."""
        return self._passes.in_flight if self._passes else 1

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network with its weights, on the CPU, in float32; ModelError where they cannot be had.

        It takes [N, 3, height, width], 0 to 255, and gives a Tensor or several.
        """

    @abstractmethod
    def _choose(self, predictions: Predictions, geometry: FrameGeometry) -> Tensor:
        """The predictions for each frame, see ``pack_rows``. On a GPU it must not wait for the device."""

    def kept_rows(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """bool[N, K]: the rows that are detections. Some may still need NMS on the host."""
        kept: npt.NDArray[np.bool_] = rows[..., 6] == KEPT
        return kept

    def load(self) -> None:
        """Make the network, move it to the device, run it once; ModelError where that cannot be."""
        settings = self.settings
        device = _require_device(settings.device)
        net = self._build().eval()
        if device.type == "cpu":
            torch.set_num_threads(self.threads)
            keep_large_blocks()
        else:
            # Of the whole process. By default torch takes TF32 for convolutions alone, and calls it fp32.
            products = "tf32" if settings.precision == "tf32" else "ieee"
            torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]
            torch.backends.cuda.matmul.fp32_precision = products
        net = net.to(device, self._dtype)
        for weight in net.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=self._layout)
        made = _compiled(net) if settings.compile else net
        self._witness.watch(made)

        def work(pixels: Tensor) -> Tensor:
            return self._work(made, pixels)

        if device.type == "cpu":
            # A compiled network has one shape; another would be compiled again, for minutes.
            self._passes = CpuPasses(work, fill_to=settings.batch_size if settings.compile else None)
        else:
            self._passes = GpuPasses(
                work,
                device,
                batch_size=settings.batch_size,
                threads=self.threads,
                graph=settings.cuda_graph,
                compiled=settings.compile,
                witness=self._witness,
            )
        blank = np.zeros((settings.batch_size, self._input.height, self._input.width, 3), np.uint8)
        try:
            for size in self._passes.sizes(settings.batch_size):
                self.detect(blank[:size])
        except RuntimeError as error:
            if not settings.compile:
                raise
            raise ModelError(
                f"the model cannot be compiled ({first_line(error)}): install a C++ compiler (g++) on the "
                "nodes that run it, or use compile=false"
            ) from error
        self._witness.take()

    def detect(self, batch: npt.NDArray[np.uint8]) -> list[Detections]:
        """Detect in frames as the protocol says; N results, boxes in pixels of the frames given."""
        picture_size(batch)
        size = self.settings.batch_size
        detections: list[Detections] = []
        pending: deque[Callable[[], list[Detections]]] = deque()
        for start in range(0, len(batch), size):
            pending.append(self.submit(batch[start : start + size]))
            if len(pending) == self.in_flight:
                detections += pending.popleft()()
        for wait in pending:
            detections += wait()
        return detections

    def submit(self, batch: npt.NDArray[np.uint8]) -> Callable[[], list[Detections]]:
        """Submit one batch, as the protocol says."""
        width, height = picture_size(batch)
        if self._passes is None:
            raise ModelError(f"the {self.settings.name} detector is not loaded: call load() first")
        wait = self._passes.submit(batch)
        return lambda: self._detections(wait(), fitted(width, height, self._input))

    def passes_seen(self) -> list[ForwardPass]:
        """As the protocol says."""
        return self._witness.take()

    def _work(self, net: Callable[[Tensor], Tensor | Predictions], pixels: Tensor) -> Tensor:
        """Frames on the device -> rows on the device."""
        pictures, geometry = to_pictures(pixels, self._input)
        given = net(pictures.to(self._dtype, memory_format=self._layout))
        predictions = given if isinstance(given, tuple) else (given,)
        return self._choose(tuple(prediction.float() for prediction in predictions), geometry)

    def _detections(self, rows: Rows, geometry: FrameGeometry) -> list[Detections]:
        """What is kept of the rows, for all frames at once, then cut into frames."""
        kept = self.kept_rows(rows)
        last_rows = kept.sum(1).cumsum()
        chosen = rows[kept]
        boxes = geometry.to_source(chosen[:, :4])
        scores = np.ascontiguousarray(chosen[:, 4])
        classes = chosen[:, 5].astype(np.int64)
        return [
            Detections(classes=classes[start:end], scores=scores[start:end], boxes=boxes[start:end])
            for start, end in zip([0, *last_rows[:-1]], last_rows, strict=True)
        ]


def _check(settings: ModelSettings, threads: int) -> None:
    if settings.batch_size < 1:
        raise ModelError(f"model batch_size {settings.batch_size} holds no frame: use 1 or more")
    if threads < 1:
        raise ModelError(f"model threads {threads} cannot compute: use 1 or more")
    if settings.precision not in get_args(Precision):
        raise ModelError(f"model precision {settings.precision!r} is unknown: use {', '.join(DTYPES)}")
    if not 0 < settings.score_threshold < 1:
        raise ModelError(
            f"model score_threshold {settings.score_threshold} is not between 0 and 1: use 0.3, for example"
        )


def _compiled(net: nn.Module) -> nn.Module:
    compiled = torch.compile(net, dynamic=False)
    assert isinstance(compiled, nn.Module)
    return compiled


def _require_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unknown_device(name) from error
    if device.type not in {"cpu", "cuda"}:
        raise _unknown_device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"model device {name!r} is not there (this machine has {torch.cuda.device_count()} CUDA devices "
            "that torch can use): use model.device=cpu"
        )
    return device


def _unknown_device(name: str) -> ModelError:
    return ModelError(f"model device {name!r} is unknown: use cpu, cuda or cuda:N")
