"""Messages between deployments: plain dataclasses of numpy arrays, timestamped when they arrive.

Arrays as attributes travel out of band (pickle protocol 5): the receiver gets read-only views into the
object store, and nothing is copied. The timestamp separates transfer (sent -> unpickled) from queue
(unpickled -> started), also when frames go from decoder to model without passing the service.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vbench.pipeline.replica import CallReport
from vbench.pipeline.spans import ReplicaId, Span
from vbench.video.types import Chunk, FrameGeometry, Frames


def _arrived(cls: type["TimestampedMessage"], fields: dict[str, Any]) -> "TimestampedMessage":
    message = cls(**fields)
    message.arrived_s = time.time()
    return message


class TimestampedMessage:
    """Knows when it was unpickled: ``arrived_s`` in unix seconds, by the clock of the receiving process."""

    arrived_s: float | None = None
    """None in the sender's process. It is not sent, so a message that is forwarded is timestamped again."""

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: value for name, value in self.__dict__.items() if name != "arrived_s"}
        return _arrived, (type(self), fields)

    @property
    def arrival_s(self) -> float:
        """``arrived_s`` of a message that was received; RuntimeError for one that was not."""
        if self.arrived_s is None:
            raise RuntimeError(
                f"{type(self).__name__} was used as if received, but has not crossed a process"
            )
        return self.arrived_s


@dataclass(kw_only=True)
class ChunkMessage(TimestampedMessage):
    """Service -> decoder: one chunk to decode, and into what."""

    chunk: Chunk
    geometry: FrameGeometry
    sent_s: float
    """Unix seconds at which the service began to send it."""


@dataclass(kw_only=True)
class FramesMessage(TimestampedMessage):
    """Decoder -> model, by way of the service or not: one chunk's frames."""

    chunk: int
    """The chunk's index."""
    frames: Frames
    spans: list[Span]
    """Of this chunk in the decoder."""
    decoded_s: float
    """Unix seconds at which the frames were ready, by the decoder's clock."""
    report: CallReport
    """The decoder's."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays: pixels and pts."""
        return self.frames.pixels.nbytes + self.frames.pts.nbytes


@dataclass(kw_only=True)
class InferenceCall(TimestampedMessage):
    """Service -> model, before the frames' messages: how these frames were sent, for the spans."""

    sent_s: float
    """Unix seconds at which the service made the call."""
    sender: ReplicaId
    """The service: the frames' wait before this call ended there."""
    is_combined: bool
    """Whether all frames of the video are in this one call (combined mode)."""
    is_relayed: bool
    """Whether the frames come from the service (relay), not from the decoder."""
    is_deferred: bool
    """Whether they were is_deferred back until all frames of the video were decoded."""
    is_prefetched: bool
    """Whether they were brought to the model's node before the call (``ModelInference.fetch``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFindings:
    """The detections in one chunk of K frames, D in all."""

    chunk: int
    pts: npt.NDArray[np.int64]
    """int64[K], as they arrived with the frames."""
    digests: list[str]
    """K hashes of what arrived: pts and pixels."""
    counts: npt.NDArray[np.int64]
    """int64[K]: detections in each frame; they sum to D."""
    classes: npt.NDArray[np.int64]
    """int64[D]: indices into the reply's ``class_names``, frame after frame."""
    scores: npt.NDArray[np.float32]
    """float32[D]."""
    boxes: npt.NDArray[np.float32]
    """float32[D, 4]: x1, y1, x2, y2 in pixels of the upright picture."""
    frame_bytes: int
    """Bytes of the pixels that arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceReply:
    """Model -> service: the findings for each chunk of the call, in order."""

    findings: list[ChunkFindings]
    spans: list[Span]
    """The decoders' spans of these chunks, then the model's."""
    class_names: tuple[str, ...]
    fingerprint: str
    """The detector's: equal ones give the same detections."""
    reports: list[CallReport]
    """The decoders' on these chunks, then the model's."""
