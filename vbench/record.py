"""What a trial leaves: the types of its schema-versioned record, whose files vbench.trial_folder holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vbench.network import LinkSample, Network

SCHEMA_VERSION = 2

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One measured request: a line of ``requests.jsonl``. Times are monotonic seconds of the client."""

    index: int
    scheduled_s: float
    """When the closed loop was free to send it."""
    sent_s: float
    done_s: float
    sent_unix_s: float
    """``sent_s`` on the wall clock, to lay spans beside requests."""
    status: int | None
    """HTTP status; None where no answer came."""
    error: str | None
    """Why it failed; None where it was answered."""
    frames_expected: int
    frames_got: int
    frames_wrong: int
    """Frames missing, surplus, out of order, or with other bytes than in the reference pass."""
    detections: int
    detections_wrong: int
    """Detections that disagree with the reference pass."""
    mismatch: str | None
    """The first difference to the reference, in words."""
    digest: str | None
    """Over pts and pixels of all frames that arrived at the model."""
    answer_bytes: int
    frame_bytes: int
    """Bytes of all frames that arrived at the model."""
    video_s: float
    """Length of the video, in seconds."""
    crossed_bytes: Mapping[str, int] = field(default_factory=dict)
    """``sender>receiver`` -> bytes of its chunks and frames that had to go this way between nodes."""

    @property
    def latency_s(self) -> float:
        """Seconds from when it was due to its answer: time the client lost is not hidden."""
        return self.done_s - self.scheduled_s

    @property
    def late_s(self) -> float:
        """Seconds the client sent it after it was due."""
        return self.sent_s - self.scheduled_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine:
    """One stage span of one measured request: a line of ``spans.jsonl``; vbench.pipeline.spans says more."""

    request: int
    stage: str
    kind: str
    chunk: int | None
    node: str
    replica: str
    start_s: float
    """Unix seconds."""
    end_s: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One look at one GPU of a machine, as NVML tells it; None for what this GPU does not tell."""

    gpu: int
    """NVML's index, by place on the bus; ``CUDA_VISIBLE_DEVICES`` does not change it."""
    busy_percent: float | None
    """Of the last moments (1/6 to 1 s, by product) the part in which a kernel ran, of whomever."""
    memory_used_mb: float | None
    """By whomever."""
    energy_j: float | None
    """Joules since the driver was loaded."""
    sm_mhz: int | None
    """Clock of the multiprocessors; of an idle GPU it is low, of a busy one that is too hot or short of power
    it falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSample:
    """One look at a machine that carries nodes (an emulated cluster's nodes share one): a line of
    ``machines.jsonl``."""

    machine: str
    """Its host name; of a cluster that is elsewhere the names of its nodes there, joined by a plus sign."""
    at_s: float
    """Monotonic seconds of the machine."""
    unix_s: float
    cpu_all_s: float
    """CPU seconds since boot over all cores; the five below are parts of it, interrupts the rest."""
    cpu_idle_s: float
    """Idle, waiting for disks included."""
    cpu_busy_s: float
    """Of programs, in user and system mode."""
    cpu_trial_s: float
    """Of the trial's processes, those that have ended included."""
    cpu_kernel_s: float
    """Of kernel threads, whoever they worked for; interrupts are in none of these."""
    cpu_stolen_s: float
    """Taken by other virtual machines."""
    foreign_process: str | None
    """The process of others that used most since the sample before; one that came and went is not seen."""
    memory_used_mb: float
    memory_available_mb: float
    gpus: Sequence[GpuSample] = ()
    """By index; empty for a machine without NVIDIA's driver, and in records of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """One look at one node: a line of ``nodes.jsonl``."""

    node: str
    at_s: float
    """Monotonic seconds of the node."""
    unix_s: float
    cpu_s: float
    """CPU seconds so far of the trial's processes on this node, of those that have ended included."""
    memory_mb: float
    """Memory of the trial's processes on this node: private pages, and what of /dev/shm is in use."""
    nic_sent_bytes: int
    """Since boot, over all interfaces but loopback."""
    nic_received_bytes: int
    loopback_bytes: int
    """Since boot."""
    link: LinkSample | None
    """The queues of the node's shaped link; None where nothing is shaped."""
    connections: Mapping[str, int]
    """Peer -> established connections from this node to the peer's object manager, to which nobody but
    raylets connect."""
    object_store_used_mb: float
    spilled_mb: float
    """Written to disk since the node started."""
    fallback_mb: float
    """Objects now on disk because the store was full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Connections from one node's raylet to a peer's object manager, counted while objects moved."""

    sender: str
    receiver: str
    expected: int
    """What the runtime setting asks for."""
    found: int
    """The most that were established at one moment."""
    moved_bytes: int
    """Bytes of frames that had to go this way, warm-up included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRuntime:
    """The runtime flags of one node, as found in the environment of its raylet."""

    node: str
    raylet_pid: int
    flags: Mapping[str, str] | None
    """None where the environment could not be read: nothing is proven then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the load process saw beside requests, spans and samples."""

    ray_version: str
    ray_commit: str
    phases_s: Mapping[str, float]
    """Seconds of connect, deploy, warm_up, settle, measure and drain."""
    measured_from_s: float
    """Monotonic seconds of the first measured request's due time."""
    measured_to_s: float
    """Monotonic seconds of the last measured answer."""
    runtime_asked: Mapping[str, str]
    """Environment variables asked for; empty for what Ray does by itself."""
    runtime_found: list[NodeRuntime]
    placement: Mapping[str, Mapping[str, int]]
    """Deployment -> node -> replicas."""
    connections: list[Connections]
    """Of each pair of nodes between which frames had to move; empty on one node."""
    cold: list[str] | None = None
    """Deployments of which a replica saw no warm-up request; None where that was not looked at."""
    quiet_after_s: float | None = None
    """Seconds from the warm-up's last answer until the links had been quiet for one; None without links."""
    late_sent_bytes: Mapping[str, int] = field(default_factory=dict)
    """Node -> bytes that it sent after the last answer, until the links were quiet; empty without links."""
    oom_kills: int | None
    """Processes the kernel killed for want of memory while the load ran; None where it does not count."""
    not_sent: int
    """Requests that were not sent any more after one had failed."""
    url: str
    hardware: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Node -> cpu, cores, memory_mb, kernel, python, packages; empty for clusters on this machine."""
    clocks_off_s: Mapping[str, float] = field(default_factory=dict)
    """Node -> how far its clock is ahead of the load process's, in s; empty where all share one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The video of a trial."""

    path: str
    fingerprint: str
    """xxh3-128 of the file."""
    codec: str
    width: int
    height: int
    duration_s: float
    size_bytes: int
    frames_expected: int
    """Frames that a right answer holds."""
    reference: str
    """File of the reference pass."""
    ffmpeg: str
    """Version of the FFmpeg that decodes."""
    reference_map50: float | None
    """mAP at IoU 0.5 of the reference pass against the scene's ground truth; None for other videos."""
    address: str | None = None
    """Where services fetch it from, with each request anew; None: they read ``path``."""
    detector: str | None = None
    """64 hex digits of the reference pass's detector: settings and weights; None in records of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of validity, judged."""

    name: str
    holds: bool
    found: str
    """What was seen, with its unit."""
    remedy: str
    """What to do where it does not hold."""

    @property
    def line(self) -> str:
        """What it is and what was seen, in a line."""
        return f"{self.name}: {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """``trial.json``: everything about a trial but its lines."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    arm: str
    """What was set, without the block: ``mode=combined runtime=oss``."""
    swept: Mapping[str, str]
    """Key -> value of what a sweep varies; of mode and runtime in a single trial."""
    block: int
    seed: int
    started: str
    """ISO 8601, UTC."""
    status: Status
    error: str | None
    """Why it did not finish."""
    valid: bool
    rules: list[Rule]
    metrics: Mapping[str, float]
    """Units are in the names; vbench.summary says how each is computed."""
    phases_s: Mapping[str, float]
    config: Mapping[str, Any]
    config_fingerprint: str
    """Of all that can change a result: config without block, outputs and tracking."""
    environment: Mapping[str, Any]
    clip: Clip | None
    network: Network | None
    """The emulated network; None for clusters that have a real one, or none."""
    observed: Observed | None
    ledger: str | None = None
    """Hash of the line with which the ledger of its outputs folder begins it (vbench.ledger); None in older
    records, and if that line could not be written."""
    folder: str = field(default="", metadata={"transient": True})
    """Where it was read from; not written."""

    @property
    def broken(self) -> list[Rule]:
        """The rules that do not hold."""
        return [rule for rule in self.rules if not rule.holds]


APPROXIMATE = (
    "APPROXIMATE: keyframes stand for the frames asked for (pipeline.keyframes_only), fewer and other frames."
)
RANDOM_WEIGHTS = (
    "RANDOM WEIGHTS: the model was never trained (model.weights=random); what it costs is real, what it"
    " finds is not."
)


def marks(trials: Iterable[Trial]) -> list[str]:
    """What every result of these trials has to say first; none for results that are what they seem."""
    found = set()
    for trial in trials:
        if trial.config["pipeline"].get("keyframes_only", False):  # older records know no such thing
            found.add(APPROXIMATE)
        if trial.config["model"].get("weights") == "random":
            found.add(RANDOM_WEIGHTS)
    return sorted(found)
