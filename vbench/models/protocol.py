"""The protocol that every detector meets, and what passes through it. Imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vbench.video.types import Fit

RANDOM = "random"
"""Weights that were never trained: they have the real compute cost and detect nothing."""


class ModelError(ValueError):
    """The model cannot be built or loaded; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The frames a detector works on; known without loading it."""

    width: int
    height: int
    fit: Fit
    """How a picture of another shape is brought to this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The detections in one frame, best score first."""

    classes: npt.NDArray[np.int64]
    """int64[D]: indices into the detector's ``class_names``."""
    scores: npt.NDArray[np.float32]
    """float32[D], 0 to 1."""
    boxes: npt.NDArray[np.float32]
    """float32[D, 4]: x1, y1, x2, y2 in pixels of the frame that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPass:
    """One forward pass as the network saw it, independent of the configuration."""

    number: int
    """Among all passes of this network, from 1."""
    frames: int
    """Pictures in its input, those that only fill it up included."""
    how: Mapping[str, str | int | float | bool | None]
    """Size of the input (``input``), and by the names of ``ModelSettings`` how it was computed."""
    cpu_s: float | None
    """CPU seconds of the thread that ran it; None if a GPU did the work."""


class Detector(Protocol):
    """An object detector. One instance belongs to one thread at a time."""

    @property
    def input(self) -> InputSpec:
        """The frame size it works at."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class index."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of code version, weights and settings: equal ones give the same detections."""

    def load(self) -> None:
        """Read the weights and get ready to detect; ModelError if that fails."""

    def detect(self, batch: npt.NDArray[np.uint8]) -> list[Detections]:
        """Detect in uint8[N, H, W, 3] (rgb24) or uint8[N, 3 H / 2, W] (yuv420p, BT.709 in limited range; rows
        of Y, then U, then V), read-only views welcome, any N >= 0; N results, in order.

        Frames that are not of ``input`` size are resized on the model's device, by ``input.fit``; boxes
        come back in pixels of the frames given.
        """

    @property
    def in_flight(self) -> int:
        """Batches that should be submitted before the first is waited for: 1 if the CPU does the work."""

    def submit(self, batch: npt.NDArray[np.uint8]) -> Callable[[], list[Detections]]:
        """Start detection in one batch, as ``detect`` describes it, without waiting for the device.

        The function that is returned waits for the results and returns them. Call it once, in the order of
        submission. The frames must not change before that.
        """

    def passes_seen(self) -> list[ForwardPass]:
        """The forward passes since this was last called, in order, as the network itself saw them.

        The passes of a batch are included once ``submit`` has returned; on a CPU, once its function has.
        """
