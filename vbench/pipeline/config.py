"""The arguments of the service, checked: the settings that it shares with a configuration, and its own."""

import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from vbench.models.settings import ModelSettings
from vbench.pipeline.settings import (
    MAX_CALLS,
    MAX_TIMEOUT_S,
    REQUESTS_AT_ONCE,
    DeploymentSettings,
    Mode,
    PipelineSettings,
)
from vbench.ray_internals.node import HEAD_RESOURCE
from vbench.video.exact_number import exact_number
from vbench.video.fetch.download import Scheme
from vbench.video.fetch.local_files import real_roots
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.types import VideoLimits

DeploymentName = Literal["VideoProcessingAPI", "VideoProcessingService", "VideoDecoder", "ModelInference"]

ON_HEAD = {HEAD_RESOURCE: 0.0001}


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    PrivateSources.of(entries)
    return entries


def _folders(roots: tuple[str, ...] | None) -> tuple[str, ...] | None:
    real_roots(roots or ())
    for root in roots or ():
        if not root.startswith(("/", "~")):
            raise ValueError(f"{root!r} is not an absolute path: give one, such as /data/videos or ~/videos")
    return roots


class _Args(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelArgs(_Args, ModelSettings):
    """Which detector runs, and how; paths of weights are those of the nodes that run the model."""


class VideoLimitArgs(_Args):
    """Which videos are refused (HTTP 413) from their index, before anything is decoded."""

    max_duration_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    max_packets: Annotated[int, Field(gt=0)] = 4_000_000
    max_pixels: Annotated[int, Field(gt=0)] = 33_177_600
    max_size_bytes: Annotated[int, Field(gt=0)] = 64 * 2**30
    max_fetched_bytes: Annotated[int, Field(gt=0)] = 2 * 2**30
    """Of a video that is fetched: it is copied to the temporary disk of the service's node."""
    max_disk_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of what is free on that disk, less a reserve, that the copies of a service replica may take
    together. HTTP 413 for a video that would not fit alone, 503 for one that does not fit beside others."""
    max_read_s: Annotated[float, Field(ge=1, le=MAX_TIMEOUT_S)] = 60.0
    """CPU time that reading the video's index may take, and again cutting it into chunks, with one more
    second for each 50 MB of the file."""
    max_stall_s: Annotated[float, Field(ge=1, le=MAX_TIMEOUT_S)] = 15.0
    """CPU time that reading the index may take per 10,000 packets."""

    def limits(self) -> VideoLimits:
        """The same for ``vbench.video``."""
        return VideoLimits(**self.model_dump())


class ReceiveArgs(_Args):
    """How requests are received: the most that a client can take by sending much, slowly or without end."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """Of a request's body; HTTP 413 beyond it."""
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """For a body to arrive; HTTP 408 beyond it."""
    slow_bodies: Annotated[int, Field(ge=0)] = 64
    """Bodies, per API replica, that may take longer than a second at a time; HTTP 503 for more."""


class DeploymentArgs(_Args, DeploymentSettings):
    """How many replicas a deployment has, and what each needs of its node.

    ``cpus: 0`` places a replica anywhere, also on a head that schedules nothing. ``max_ongoing_requests``
    null: as many calls as the pipeline can send; for the service ``REQUESTS_AT_ONCE``, see ``queue_length``.
    """

    replicas: Annotated[int, Field(ge=1)] = 1
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    nodes: list[str] = []


class WorkerArgs(DeploymentArgs):
    """As DeploymentArgs; a replica that computes takes one CPU by default."""

    cpus: Annotated[float, Field(ge=0)] = 1.0


class PipelineArgs(_Args, PipelineSettings):
    """Everything that ``vbench.pipeline:build`` takes. The defaults run on one plain machine."""

    mode: Mode = "chunked"
    """For requests that name none. ``chunked``: the frames of each chunk are inferred on their own;
    ``combined``: all frames of the video go to the model together."""
    model: ModelArgs = ModelArgs()
    decode_threads: Annotated[int, Field(ge=1)] | None = None
    """FFmpeg's threads for one chunk. None: all CPUs of the replica, so that it decodes one chunk at a
    time; with fewer it decodes as many chunks at once as its CPUs allow."""
    request_timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = 7200.0
    """From a request's arrival to its response, waiting included; HTTP 504 beyond it."""
    queue_length: Annotated[int, Field(ge=0, le=MAX_CALLS)] = 64
    """Requests that wait, per service replica, beyond those that it works on; HTTP 503 for more."""
    receive: ReceiveArgs = ReceiveArgs()
    limits: VideoLimitArgs = VideoLimitArgs()
    sources: Annotated[tuple[Scheme, ...], BeforeValidator(_split), Field(min_length=1)] = ("file",)
    """Where the videos that a request names may lie. Each further source lets clients read more."""
    fetch_timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = 600.0
    """A video that is not on the service's node must be fetched within this time."""
    private_sources: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)] = ()
    """Hosts (``minio.example``) and networks (``10.0.0.0/8``) that requests may name although they are not
    public. Without them, ``http`` and ``https`` addresses reach the public Internet only."""
    roots: Annotated[tuple[str, ...] | None, BeforeValidator(_split), AfterValidator(_folders)] = None
    """Folders that a local video must be in, symbolic links resolved. None: the one that ``build`` runs in,
    which is that of ``serve run``; if that is ``/``, no folder at all."""
    max_fetches: Annotated[int, Field(ge=1)] | None = None
    """Videos that a service replica fetches at a time; HTTP 503 beyond that and a short wait. None: half of
    the requests that it works on, so that slow sources never hold up all of them."""
    packets_budget_mb: Annotated[float, Field(gt=0)] | None = None
    """10^6 bytes of coded pictures that all requests together may hold on their way to the decoders, and the
    largest chunk. None: what frames leave of a node's object store, 20%."""
    deployment_id: Annotated[str, Field(max_length=64)] = ""
    """Repeated in each response and by each replica that worked on it, so that a client can check that this
    deployment answered."""
    api: DeploymentArgs = DeploymentArgs(resources=ON_HEAD)
    service: DeploymentArgs = DeploymentArgs()
    decoder: WorkerArgs = WorkerArgs()
    inference: WorkerArgs = WorkerArgs()

    @field_validator("model", mode="before")
    @classmethod
    def _bare_model_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("decoder", "inference", mode="before")
    @classmethod
    def _as_worker(cls, value: Any) -> Any:
        return value.model_dump(exclude_unset=True) if isinstance(value, DeploymentArgs) else value

    @model_validator(mode="after")
    def _requests_wait_where_they_are_timed(self) -> "PipelineArgs":
        for name, deployment in (("decoder", self.decoder), ("inference", self.inference)):
            allowed = deployment.max_ongoing_requests
            if allowed is not None and allowed * deployment.replicas < self.chunks_in_flight:
                raise ValueError(
                    f"{name}.max_ongoing_requests is {allowed}, with {deployment.replicas} replicas "
                    f"{allowed * deployment.replicas} places, but the services can send "
                    f"{self.chunks_in_flight} chunks at a time (window {self.window} x "
                    f"{self.requests_at_once} requests x {self.service.replicas} "
                    "services): chunks would wait in Serve's router, where nothing times them; "
                    f"raise it to {math.ceil(self.chunks_in_flight / deployment.replicas)} or leave it out"
                )
        return self

    @model_validator(mode="after")
    def _devices_are_there(self) -> "PipelineArgs":
        if self.model.device.startswith("cuda") and not self.inference.gpus:
            raise ValueError(
                f"model.device is {self.model.device}, but inference.gpus is 0: "
                "ask for the GPU that it runs on"
            )
        if self.decode_threads is not None and self.decode_threads > self.decoder.threads:
            raise ValueError(
                f"decode_threads is {self.decode_threads}, but a decoder has {self.decoder.cpus:g} CPUs: "
                "raise decoder.cpus or lower decode_threads"
            )
        return self

    @property
    def fps_fraction(self) -> Fraction:
        """``fps`` as it was written, exact."""
        return exact_number(self.fps)

    @property
    def chunk_fraction(self) -> Fraction:
        """``chunk_s`` as it was written, exact."""
        return exact_number(self.chunk_s)

    @property
    def ffmpeg_threads(self) -> int:
        """FFmpeg's threads for one chunk."""
        return self.decode_threads or self.decoder.threads

    @property
    def decodes_at_once(self) -> int:
        """Chunks that one decoder replica decodes at the same time."""
        return max(1, self.decoder.threads // self.ffmpeg_threads)

    @property
    def fetches_at_once(self) -> int:
        """Videos that one service replica fetches at a time."""
        return self.max_fetches or max(1, self.requests_at_once // 2)

    @property
    def chunks_in_flight(self) -> int:
        """Chunks that all services together can have sent on and not got back."""
        return self.window * self.requests_at_once * self.service.replicas

    @property
    def requests_at_once(self) -> int:
        """Requests that one service replica works on at the same time; others wait in its queue."""
        return self.service.max_ongoing_requests or REQUESTS_AT_ONCE

    @property
    def places(self) -> int:
        """Requests that all services together work on and the API queues for them."""
        return (self.requests_at_once + self.queue_length) * self.service.replicas

    def deployment(self, name: DeploymentName) -> DeploymentArgs:
        """The arguments of the deployment that Serve knows by ``name``."""
        return {
            "VideoProcessingAPI": self.api,
            "VideoProcessingService": self.service,
            "VideoDecoder": self.decoder,
            "ModelInference": self.inference,
        }[name]

    def max_ongoing(self, name: DeploymentName) -> int:
        """Calls that Serve passes to one replica at a time: enough that nothing waits in a router.

        API and service queue requests and refuse what is too much themselves; decoders and models have a
        place for each chunk that the services can send, unless their arguments say how many.
        """
        if name == "VideoProcessingService":
            return MAX_CALLS
        return self.deployment(name).max_ongoing_requests or (
            MAX_CALLS if name == "VideoProcessingAPI" else self.chunks_in_flight
        )
