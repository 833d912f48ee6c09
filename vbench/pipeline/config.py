"""What the service is told: how requests are worked on, by which model, on how many replicas of what size."""

import math
import re
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from vbench.models.protocol import ModelSettings, Precision
from vbench.ray_internals.node import HEAD_RESOURCE
from vbench.video.fetch.download import Scheme
from vbench.video.fetch.local_files import real_roots
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.types import PixelFormat, VideoLimits

Mode = Literal["chunked", "combined"]
Handoff = Literal["direct", "relay"]
FrameSize = Literal["model", "native"]
HwAccel = Literal["amf", "cuda", "drm", "qsv", "vaapi", "vdpau", "vulkan"]
DeploymentName = Literal["VideoProcessingAPI", "VideoProcessingService", "VideoDecoder", "ModelInference"]

HWACCELS: tuple[HwAccel, ...] = get_args(HwAccel)

ON_HEAD = {HEAD_RESOURCE: 0.0001}

LONGEST_TIMEOUT_S = 1_000_000.0

MOST_CALLS = 10_000
"""Calls at a time that Serve passes to a replica which bounds them itself, so that none waits in a router."""

_DECIMAL_OR_RATIO = re.compile(r"\d{1,9}(\.\d{1,20}|/\d{1,9})?")


def exact(value: object) -> Fraction:
    """A number, or a string such as ``30000/1001``, as the fraction that was written: 0.1 is 1/10.

    Raises ValueError, which says what would do, for anything that is not a number above 0.
    """
    text = "" if isinstance(value, bool) else str(value).strip()
    denominator = text.partition("/")[2]
    if not _DECIMAL_OR_RATIO.fullmatch(text) or (denominator and not int(denominator)) or not Fraction(text):
        raise ValueError(f"{value!r} is not a number above 0; write 1, 0.5 or a ratio such as '30000/1001'")
    return Fraction(text)


def _checked(low: Fraction, high: Fraction, unit: str) -> BeforeValidator:
    def check(value: object) -> object:
        # A number with an exponent, such as 1e-09, has no digits that ``exact`` reads.
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        if not low <= (value if is_number else exact(value)) <= high:  # type: ignore[operator]
            raise ValueError(f"{value} is outside {float(low):g} to {float(high):g} {unit}")
        return str(value) if isinstance(value, Fraction) else value

    return BeforeValidator(check)


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


LEAST_FPS = Fraction(1, 3600)
MOST_FPS = Fraction(240)

FramesPerSecond = Annotated[
    float | str, _checked(LEAST_FPS, MOST_FPS, "frames/s"), Field(examples=[1, "30000/1001"])
]
ChunkSeconds = Annotated[
    float | str, _checked(Fraction(1, 10), Fraction(86400), "seconds"), Field(examples=[300, 2.5])
]


DEVICE = re.compile(r"^(cpu|cuda(:\d+)?)$")


def _device(name: object) -> object:
    if isinstance(name, str) and not DEVICE.match(name):
        raise ValueError("there is no such device: take cpu, cuda or cuda:N")
    return name


REQUESTS_AT_ONCE = 4
"""That a service replica works on where nothing else is said."""


class _Args(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelArgs(_Args):
    """Which detector runs, and how; a bare name means its defaults."""

    name: str = "shapes"
    weights: str = "bundled"
    """See ``ModelSettings``; paths are those of the nodes that run the model."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Frames in one forward pass, of one call or of several."""
    batch_wait_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    """Longest that a frame waits for others to fill its batch; 0: the model takes what is there."""
    precision: Precision = "fp32"
    compile: bool = False
    """Whether ``torch.compile`` makes the forward pass, see ``ModelSettings``."""
    channels_last: bool = True
    """Whether all channels of a pixel lie together in memory."""
    cuda_graph: bool = True
    """Whether a GPU replays each forward pass as one CUDA graph, see ``ModelSettings``."""
    device: Annotated[str, BeforeValidator(_device), Field(pattern=DEVICE.pattern)] = "cpu"
    score_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.3

    def settings(self, threads: int) -> ModelSettings:
        """The same for ``vbench.models``, with ``threads`` CPU threads for the forward pass."""
        return ModelSettings(threads=threads, **self.model_dump(exclude={"batch_wait_ms"}))


class LimitArgs(_Args):
    """Which videos are refused (HTTP 413) from their index, before anything is decoded."""

    max_duration_s: Annotated[float, Field(gt=0)] = 6 * 3600.0
    max_packets: Annotated[int, Field(gt=0)] = 4_000_000
    max_pixels: Annotated[int, Field(gt=0)] = 33_177_600
    max_size_bytes: Annotated[int, Field(gt=0)] = 64 * 2**30
    max_fetched_bytes: Annotated[int, Field(gt=0)] = 2 * 2**30
    """Of a video that is fetched: it is copied to the temporary disk of the service's node."""
    max_disk_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of what is free on that disk, less a reserve, the copies of a service replica may take together; HTTP
    413 for one that would not fit alone, and 503 for one that does not fit beside the others."""
    max_read_s: Annotated[float, Field(ge=1, le=LONGEST_TIMEOUT_S)] = 60.0
    """CPU time that reading the video's index may take, and again cutting it into chunks, with a second
    more for each 50 MB of the file."""
    max_stall_s: Annotated[float, Field(ge=1, le=LONGEST_TIMEOUT_S)] = 15.0
    """CPU time that reading the index may take without getting on by 10,000 packets."""

    def limits(self) -> VideoLimits:
        """The same for ``vbench.video``."""
        return VideoLimits(**self.model_dump())


class ReceiveArgs(_Args):
    """How requests are received: what a client that sends much, slowly or never to its end can take."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """Of a request's body; HTTP 413 beyond it."""
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """For a body to arrive; HTTP 408 beyond it."""
    slow_bodies: Annotated[int, Field(ge=0)] = 64
    """Bodies, per API replica, that may take longer than a second at a time; HTTP 503 for more."""


class DeploymentArgs(_Args):
    """How many replicas a deployment has, and what each asks of its node."""

    replicas: Annotated[int, Field(ge=1)] = 1
    cpus: Annotated[float, Field(ge=0)] = 0.0
    """CPUs that Ray reserves for a replica; 0 places it anywhere, also on a head that schedules nothing."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Custom resources a replica needs, e.g. ``{"decode_only": 0.01}``: they say where it may run."""
    max_ongoing_requests: Annotated[int, Field(ge=1)] | None = None
    """Calls that a replica takes at a time, running and waiting; None takes what the pipeline can send. For
    the service: requests that a replica works on at a time, None is 4; more wait, see ``queue_length``."""
    max_replicas_per_node: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def threads(self) -> int:
        """Threads for the work of one replica: its CPUs, rounded up, at least 1."""
        return max(1, math.ceil(self.cpus))

    def fits(self, node_resources: dict[str, float]) -> bool:
        """Whether a node with these total Ray resources could ever hold a replica."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        return all(node_resources.get(name, 0.0) >= amount for name, amount in asked.items() if amount)


class WorkerArgs(DeploymentArgs):
    """As DeploymentArgs; a replica that computes takes one CPU unless told otherwise."""

    cpus: Annotated[float, Field(ge=0)] = 1.0


class PipelineArgs(_Args):
    """Everything ``vbench.pipeline:build`` takes. The defaults run on one plain machine."""

    mode: Mode = "chunked"
    """For requests that name none. ``chunked``: each chunk's frames are inferred on their own;
    ``combined``: all frames of the video go to the model together."""
    chunk_s: ChunkSeconds = 300.0
    """Seconds of video in a chunk, for requests that name none; exact, see ``chunk_fraction``."""
    fps: FramesPerSecond = 1.0
    """Frames a second of video that are looked at, for requests that name none; see ``fps_fraction``."""
    handoff: Handoff = "direct"
    """``direct``: frames go from the decoder's node to the model's; ``relay``: through the service's."""
    frame_size: FrameSize = "model"
    """Size of the frames that travel: what the model works at, or the upright picture's own."""
    pixel_format: PixelFormat = "rgb24"
    """Of the frames that travel. ``yuv420p`` is half as large, and rgb only on the model's device: what the
    video's own coding of colour has, if it is 4:2:0 in BT.709 itself, and else close to it."""
    chunk_mb: Annotated[float, Field(gt=0)] | None = 64.0
    """10^6 bytes of frames in one chunk at most: longer chunks are cut, where decoding starts anew if they
    can be. None: a chunk holds what its seconds hold."""
    hwaccel: HwAccel | None = None
    """FFmpeg's ``-hwaccel``: the hardware that decodes, on the decoders' nodes. None: their CPUs."""
    prune: bool = True
    """Whether coded pictures that no wanted frame needs are left out of the chunks: the same frames, to the
    bit, for less decoding. H.264 and HEVC; other codecs' chunks stay whole."""
    keyframes_only: bool = False
    """Whether the last keyframe up to each wanted frame stands for it. APPROXIMATE: other frames, and fewer,
    for a small part of the decoding."""
    overlap: bool = True
    """Whether chunked inference starts before the last frame of the video is decoded; in combined mode
    whether the direct transfer does, where there is one model and it may be on another node."""
    window: Annotated[int, Field(ge=1)] = 8
    """Chunks of one request between split and answer at a time; the splitter waits for a free place.
    Where all frames are held anyway (combined, or no overlap), chunks between split and decoded, or brought
    to the model's node where that happens ahead of the call (``overlap``)."""
    model: ModelArgs = ModelArgs()
    decode_timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = 600.0
    """For one chunk, in FFmpeg, waiting not counted."""
    decode_threads: Annotated[int, Field(ge=1)] | None = None
    """FFmpeg's threads for one chunk. None: all CPUs of the replica, so that it decodes one chunk at a
    time; with fewer it decodes as many chunks at once as its CPUs allow."""
    request_timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = 7200.0
    """From a request's arrival to its answer, waiting counted; HTTP 504 beyond it."""
    queue_length: Annotated[int, Field(ge=0, le=MOST_CALLS)] = 64
    """Requests that wait, per service replica, beyond those that it works on; HTTP 503 for more."""
    receive: ReceiveArgs = ReceiveArgs()
    limits: LimitArgs = LimitArgs()
    sources: Annotated[tuple[Scheme, ...], BeforeValidator(_split), Field(min_length=1)] = ("file",)
    """Where the videos that a request names may lie; each more is one more that a stranger can have read."""
    fetch_timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = 600.0
    """A video that does not lie on the service's node must be there within this time."""
    private_sources: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)] = ()
    """Hosts (``minio.example``) and networks (``10.0.0.0/8``) that requests may name although they are not
    public. Without them an ``http`` or ``https`` address leads to the public Internet only."""
    roots: Annotated[tuple[str, ...] | None, BeforeValidator(_split), AfterValidator(_folders)] = None
    """Folders that a local video must lie in, links followed. None: the one that ``build`` runs in, which is
    that of ``serve run``; of ``/`` none at all."""
    max_fetches: Annotated[int, Field(ge=1)] | None = None
    """Videos that a service replica fetches at a time; HTTP 503 beyond that and a short wait. None: for half
    of the requests that it works on, so that slow sources never hold up all of them."""
    frames_budget_mb: Annotated[float, Field(gt=0)] | None = None
    """10^6 bytes of frames that all requests together may hold in a node's object store. None: what the
    smallest of the nodes that can hold frames takes before Ray spills (80% of its store)."""
    packets_budget_mb: Annotated[float, Field(gt=0)] | None = None
    """10^6 bytes of coded pictures that all requests together may hold on their way to the decoders, and the
    largest chunk. None: what frames leave of a node's object store, 20%."""
    deployment_id: Annotated[str, Field(max_length=64)] = ""
    """Repeated in each answer and by each replica that worked on it: whoever asks can tell whether it was
    this deployment that answered."""
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
        return exact(self.fps)

    @property
    def chunk_fraction(self) -> Fraction:
        """``chunk_s`` as it was written, exact."""
        return exact(self.chunk_s)

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
        """Calls that Serve passes to one replica at a time: so many that nothing waits in a router.

        API and service queue requests and refuse what is too much themselves; decoders and models have a
        place for each chunk that the services can send, unless their arguments say how many.
        """
        if name == "VideoProcessingService":
            return MOST_CALLS
        return self.deployment(name).max_ongoing_requests or (
            MOST_CALLS if name == "VideoProcessingAPI" else self.chunks_in_flight
        )
