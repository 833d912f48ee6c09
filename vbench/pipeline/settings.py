"""How the service is deployed and how work flows through it: the sections ``cluster.deployments`` and
``pipeline`` of a configuration, and the service's arguments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le

from vbench.models.field_checks import Checked, OneOf
from vbench.video.exact_number import frame_rate, number_between
from vbench.video.pixel_format import PixelFormat

Mode = Literal["chunked", "combined"]
Handoff = Literal["direct", "relay"]
FrameSize = Literal["model", "native"]
HwAccel = Literal["amf", "cuda", "drm", "qsv", "vaapi", "vdpau", "vulkan"]

HWACCELS: tuple[str, ...] = get_args(HwAccel)

REQUESTS_AT_ONCE = 4
"""Requests that a service replica works on at a time if ``max_ongoing_requests`` is null."""

MAX_CALLS = 10_000
"""Calls at a time that Serve passes to a replica which bounds them itself, so that none waits in a router."""

MAX_TIMEOUT_S = 1_000_000.0


def _check_chunk_s(value: object) -> None:
    number_between(value, Fraction(1, 10), Fraction(86_400), "seconds")


FramesPerSecond = Annotated[float | str, Checked(frame_rate)]
ChunkSeconds = Annotated[float | str, Checked(_check_chunk_s)]


@dataclass(kw_only=True)
class DeploymentSettings:
    """Placement and size of one Serve deployment."""

    replicas: Annotated[int, Ge(1)] | None = 1
    """Replicas of this deployment; null: as the cluster's CPUs allow (vbench/config/sizing.py)."""
    cpus: Annotated[float, Ge(0)] = 0.0
    """CPUs of each replica; FFmpeg and torch get as many threads."""
    gpus: Annotated[float, Ge(0)] = 0.0
    """GPUs of each replica."""
    resources: dict[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    """Custom resources that each replica takes, which decide its node."""
    nodes: list[str] = field(default_factory=list)
    """Nodes that replicas may run on (names in cluster.nodes; for serve run: Ray's node ids); empty: any."""
    max_ongoing_requests: Annotated[int, Ge(1)] | None = None
    """Calls that one replica takes at a time; for the service, requests in progress (null: 4)."""
    max_replicas_per_node: Annotated[int, Ge(1), Le(100)] | None = None
    """Most replicas on one node; null: no limit."""

    @property
    def threads(self) -> int:
        """Threads for the work of one replica: its CPUs, rounded up, at least 1."""
        return max(1, math.ceil(self.cpus))

    @property
    def needs(self) -> dict[str, float]:
        """Resources of Ray that one replica takes, by name."""
        return {"CPU": self.cpus, "GPU": self.gpus, **self.resources}

    def fits(self, node_resources: Mapping[str, float]) -> bool:
        """Whether a node with these total Ray resources could ever hold a replica."""
        return all(node_resources.get(name, 0.0) >= amount for name, amount in self.needs.items() if amount)


@dataclass(kw_only=True)
class PipelineSettings:
    """How the work flows between the stages; the defaults are those of ``serve run``."""

    fps: FramesPerSecond = 1.0
    """Frames sampled per second of video; a number or a fraction such as 30000/1001."""
    chunk_s: ChunkSeconds = 300.0
    """Length of a chunk, in seconds of video."""
    chunk_mb: Annotated[float, Gt(0)] | None = 64.0
    """Most MB of frames in one chunk; longer chunks are cut; null: no limit."""
    hwaccel: Annotated[str, OneOf(HWACCELS)] | None = None
    """FFmpeg's -hwaccel for decoding, such as cuda; null: the CPU."""
    handoff: Annotated[str, OneOf(get_args(Handoff))] = "direct"
    """How frames travel: direct (decoder to model) or relay (through the service)."""
    frame_size: Annotated[str, OneOf(get_args(FrameSize))] = "model"
    """Frames on the wire: model (scaled by FFmpeg to the model's input) or native (full size)."""
    pixel_format: Annotated[str, OneOf(get_args(PixelFormat))] = "rgb24"
    """Frames on the wire: rgb24, or yuv420p (half the bytes, converted on the model's device)."""
    prune: bool = True
    """Whether coded pictures that no sampled frame depends on are skipped; the frames stay the same."""
    keyframes_only: bool = False
    """APPROXIMATE: whether the last keyframe stands in for each sampled frame."""
    overlap: bool = True
    """Whether inference (combined: the transfer to the model) starts before the last frame is decoded."""
    window: Annotated[int, Ge(1)] = 8
    """Chunks of one request that are in flight at a time."""
    decode_timeout_s: Annotated[float, Gt(0), Le(MAX_TIMEOUT_S)] = 600.0
    """Deadline for decoding one chunk, in seconds."""
    frames_budget_mb: Annotated[float, Gt(0)] | None = None
    """Memory for frames in flight, in MB; null: what the smallest object store holds without spilling."""
    queue_length: Annotated[int, Ge(0), Le(MAX_CALLS)] | None = None
    """Requests that may wait per service replica; others get 503; null: 64, or load.concurrency if larger."""
