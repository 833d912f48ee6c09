"""What detectors in torch have in common: device, precision, layout, batches, pre-processing, compilation."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vbench.models.pictures import picture_size, to_pictures
from vbench.models.protocol import Detections, InputSpec, ModelError, ModelSettings, Precision
from vbench.models.registry import input_spec
from vbench.models.staging import SLOTS, Staging
from vbench.video.types import FrameGeometry

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Predictions = tuple[Tensor, ...]
"""What a network gives, the batch first."""


class TorchDetector(ABC):
    """``Detector`` around a network; see the protocol for its methods."""

    def __init__(self, settings: ModelSettings) -> None:
        """ModelError for a value of ``settings`` that no network can have."""
        _check(settings)
        self.settings = settings
        self._input = input_spec(settings.name)
        self._net: Callable[[Tensor], Tensor | Predictions] | None = None
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

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network with its weights, on the CPU, in float32; ModelError where they cannot be had.

        It takes [N, 3, height, width], 0 to 255, and gives a Tensor or several.
        """

    @abstractmethod
    def _read(self, predictions: Predictions, geometry: FrameGeometry) -> list[Detections]:
        """What predictions in float32 say of each frame, in its pixels."""

    def load(self) -> None:
        """Make the network, move it to the device, run it once; ModelError where that cannot be."""
        device = _require_device(self.settings.device)
        net = self._build().eval()
        if device.type == "cpu":
            torch.set_num_threads(self.settings.threads)
        net = net.to(device, self._dtype)
        for weight in net.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=self._layout)
        self._net = torch.compile(net, dynamic=False) if self.settings.compile else net
        self._staging = Staging(device)
        blank = np.zeros((self.settings.batch_size, self._input.height, self._input.width, 3), np.uint8)
        try:
            self.detect(blank)
        except RuntimeError as error:
            if not self.settings.compile:
                raise
            first_line = str(error).strip().splitlines()[0]
            raise ModelError(
                f"the model cannot be compiled ({first_line}): install a C++ compiler (g++) on the nodes "
                "that run it, or take compile=false"
            ) from error

    def detect(self, batch: npt.NDArray[np.uint8]) -> list[Detections]:
        """Detect in frames as the protocol says; N results, boxes in pixels of the frames given."""
        picture_size(batch)
        if self._net is None:
            raise ModelError(f"the {self.settings.name} detector is not loaded: call load() first")
        size = self.settings.batch_size
        found: list[Detections] = []
        begun: list[_Begun] = []
        with torch.inference_mode():
            # Reading a batch's predictions waits for the device, so the next batch is on its way before.
            for start in range(0, len(batch), size):
                begun.append(self._begin(self._net, batch[start : start + size]))
                if len(begun) == SLOTS:
                    found += self._end(begun.pop(0))
            for one in begun:
                found += self._end(one)
        return found

    def _begin(
        self, net: Callable[[Tensor], Tensor | Predictions], frames: npt.NDArray[np.uint8]
    ) -> "_Begun":
        """Give the device its work; on a GPU that is done later."""
        pixels = self._staging.put(frames)
        pictures, geometry = to_pictures(pixels, self._input)
        if self.settings.compile and len(frames) < self.settings.batch_size:
            # What is compiled has one shape: another would be compiled anew, for minutes.
            missing = self.settings.batch_size - len(frames)
            pictures = torch.cat((pictures, pictures.new_zeros(missing, *pictures.shape[1:])))
        given = net(pictures.to(self._dtype, memory_format=self._layout))
        predictions = given if isinstance(given, tuple) else (given,)
        return _Begun(tuple(each[: len(frames)] for each in predictions), geometry)

    def _end(self, begun: "_Begun") -> list[Detections]:
        """Wait for it, and read it."""
        return self._read(tuple(each.float() for each in begun.predictions), begun.geometry)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A batch that the device works on."""

    predictions: Predictions
    geometry: FrameGeometry


def _check(settings: ModelSettings) -> None:
    if settings.batch_size < 1:
        raise ModelError(f"model batch_size {settings.batch_size} holds no frame: take 1 or more")
    if settings.threads < 1:
        raise ModelError(f"model threads {settings.threads} cannot compute: take 1 or more")
    if settings.precision not in get_args(Precision):
        raise ModelError(f"model precision {settings.precision!r} is unknown: take {', '.join(DTYPES)}")
    if not 0 < settings.score_threshold < 1:
        raise ModelError(
            f"model score_threshold {settings.score_threshold} is not between 0 and 1: take e.g. 0.3"
        )


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
            "that torch can use): take device=cpu"
        )
    return device


def _unknown_device(name: str) -> ModelError:
    return ModelError(f"model device {name!r} is unknown: take cpu, cuda or cuda:N")
