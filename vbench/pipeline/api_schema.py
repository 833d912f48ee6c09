"""The request and the response of the API, as typed models."""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vbench.pipeline.reports import ReplicaReport
from vbench.pipeline.settings import ChunkSeconds, FrameSize, FramesPerSecond, Handoff, Mode
from vbench.pipeline.shortened import shortened
from vbench.pipeline.spans import Span
from vbench.video.pixel_format import PixelFormat

PATH = "/v1/videos:process"
"""Where the API takes requests."""

_ABSOLUTE = re.compile(r"/|file:/|(?!file:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""How an absolute path, a ``file:`` URI of one, and an address begin."""


class ProcessRequest(BaseModel):
    """One video to process, and how; fields left out take the values that the service was deployed with."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"video": "/data/street.mp4", "mode": "combined", "fps": 1}]},
    )

    video: str = Field(
        min_length=1,
        max_length=4096,
        description="Absolute path of a video file on the node that runs VideoProcessingService, below a "
        "folder that it may read, or an address (http, https, s3, gs) if it was deployed with such sources.",
    )
    mode: Mode | None = Field(
        default=None,
        description="chunked: the frames of each chunk are inferred alone, as soon as they are decoded. "
        "combined: all frames go to the model together.",
    )
    chunk_s: ChunkSeconds | None = Field(
        default=None, description="Seconds of video in a chunk.", examples=[300, 2.5]
    )
    fps: FramesPerSecond | None = Field(
        default=None,
        description="Frames to sample per second of video: a number, or a ratio as a string.",
        examples=[1, "30000/1001"],
    )

    @field_validator("video")
    @classmethod
    def _absolute(cls, video: str) -> str:
        if not _ABSOLUTE.match(video):
            raise ValueError(
                f"{shortened(video)!r} is not an absolute path, nor a file:// URI: give one of these"
            )
        if "\0" in video:
            raise ValueError(f"{shortened(video)!r} has a NUL character, which no path or address can have")
        return video


class Problem(BaseModel):
    """Why a request was refused or failed."""

    detail: str = Field(
        description="One sentence: the cause, and what to do about it.",
        examples=["/data/street.mp4 cannot be read: No such file or directory"],
    )


class Healthy(BaseModel):
    """Every stage has a replica that answers."""

    status: Literal["ok"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def trusted(cls, **values: Any) -> Self:
        """Build it from values that this package made itself, without validating each of thousands again."""
        return cls.model_construct(**values)


class Detection(_Part):
    """One object in one frame."""

    class_name: str
    score: float
    box: list[float]
    """x1, y1, x2, y2 in pixels of the video's upright picture, not rounded."""


class FrameAnswer(_Part):
    """One sampled frame."""

    pts: int
    """On the video's timeline, in ticks of ``video.time_base``."""
    time_s: float
    """Seconds from the video's first frame."""
    digest: str
    """Hash (xxh3-128) of pts and pixels as they arrived at the model."""
    detections: list[Detection]
    """Best score first."""


class ChunkAnswer(_Part):
    """One chunk of the video; ``frames`` is empty if no sampled frame lies in it."""

    index: int
    start_s: float
    end_s: float
    frames: list[FrameAnswer]


class VideoAnswer(_Part):
    """Facts about the video."""

    path: str
    """Path of the file; for a fetched video, the address without its query."""
    container: str
    codec: str
    width: int
    """Of the upright picture, in pixels."""
    height: int
    rotation: int
    time_base: str
    """Seconds a tick, as a ratio: ``1/15360``."""
    duration_s: float
    frames: int
    """Presented frames in the file."""
    size_bytes: int
    checksum: str | None
    """xxh3_128 over the bytes that were fetched, hex; null for a file on the service's node."""


class SettingsAnswer(_Part):
    """How the request was processed."""

    mode: Mode
    fps: str
    """Exact, as a ratio or whole number."""
    chunk_s: str
    handoff: Handoff
    frame_size: FrameSize
    frame_width: int
    """Of the frames that travelled to the model, in pixels."""
    frame_height: int
    pixel_format: PixelFormat
    keyframes_only: bool
    """Whether keyframes stand for the sampled frames; the detections are then approximate."""
    prune: bool
    """Whether pictures that no sampled frame depends on were skipped."""
    overlap: bool
    window: int
    """Chunks in flight at a time."""
    chunk_mb: float | None
    """Most MB of frames in one chunk."""
    model: str
    model_fingerprint: str
    """Equal ones give the same detections: code version, weights and settings."""


class Counts(_Part):
    """Totals over the whole video."""

    chunks: int
    frames: int
    detections: int
    by_class: dict[str, int]
    frame_bytes: int
    """Bytes of all frames that arrived at the model."""


class Answer(_Part):
    """The detections in one video: each sampled frame exactly once, in order."""

    video: VideoAnswer
    settings: SettingsAnswer
    counts: Counts
    digest: str
    """Over all frames' digests, in order: equal digests mean that the model saw the same bytes."""
    chunks: list[ChunkAnswer]
    spans: list[Span]
    replicas: list[ReplicaReport]
    received_s: float
    """Unix seconds at which the API received the request, by the API's clock."""
    finished_s: float
    """Unix seconds at which the last result arrived, by the service's clock."""
