"""What a trial leaves: the types of its schema-versioned record, whose files vbench.record.files holds.

Schema versions of ``trial.json`` and the files next to it (vbench.record.earlier_versions reads the old
ones):

- 2: the first version that is still read.
- 3: the bottleneck is stored (``bottleneck``). Fields that can be derived from others, or that nothing read,
  are gone: ``url``, ``measured_from_s``, ``measured_to_s`` and ``quiet_after_s`` (the phase ``settle``) of
  ``observed``, ``crossed_bytes`` of requests, ``loopback_bytes`` and ``unix_s`` of nodes' samples. Others
  have a new name: ``observed`` is ``load_report``, and the keys are listed in vbench.record.earlier_versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vbench.pipeline.reports import ReplicaReport
from vbench.pipeline.spans import Span
from vbench.record.bottleneck import Bottleneck
from vbench.record.network import LinkSample, Network

SCHEMA_VERSION = 3

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
    video: str = ""
    """Fingerprint of the video that it asked for: the clip's, or that of one of its variants."""
    received_s: float | None = None
    """When the API had it, in Unix seconds of the API's node; None without an answer."""
    finished_s: float | None = None
    """When its last result was there, in Unix seconds of the service's node; None without an answer."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the service says it worked on it: the answer's ``settings``."""
    replicas: Sequence[ReplicaReport] = ()
    """What each replica that worked on it says of itself."""
    api_requests: int | None = None
    """HTTP requests of any kind that had reached its API replica when that began its response; None in
    records of earlier versions, and without a response."""
    proxy_requests: int | None = None
    """The same of Serve's proxy; None also if the proxy does not count, on a cluster that was started without
    vbench's middleware."""
    detections_repeated: int | None = None
    """Frames of a scene in which objects have moved since the frame before, and whose detections are to the
    bit those of the frame before; 0 for other videos, None in records of earlier versions."""

    @property
    def latency_s(self) -> float:
        """Seconds from when it was due to its answer: time the client lost is not hidden."""
        return self.done_s - self.scheduled_s

    @property
    def late_s(self) -> float:
        """Seconds the client sent it after it was due."""
        return self.sent_s - self.scheduled_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine(Span):
    """One span of one measured request: a line of ``spans.jsonl``."""

    request: int
    """The request's index."""


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
    foreign_percent: float | None = None
    """Of the time since the sample before, the part in which others' kernels ran, summed over processes; None
    if the GPU or the machine does not tell whose they are."""
    foreign_processes: Sequence[str] = ()
    """Others' processes that compute on it or hold memory for that, as NAME (PID)."""
    sm_mhz: int | None
    """Clock of the multiprocessors; of an idle GPU it is low, of a busy one that is too hot or short of power
    it falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuBounds:
    """What bounded the CPUs of the trial's processes at one moment."""

    least_cpus: int | None
    """CPUs of the process that may run on the fewest, by its affinity; None if no process was seen."""
    least_cpus_of: str | None
    """Which that is: ``raylet (process 123)``."""
    quota_cpus: float | None
    """The tightest quota of a control group, in CPUs; None for none."""
    quota_cpus_of: str | None
    throttled_s: float
    """For how long the kernel has throttled their control groups since the first request was due."""
    changed: Sequence[str] = ()
    """What of affinity, quota, nice and policy differs from when the first request was due, in words."""


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
    stopped: Sequence[str] = ()
    """Processes of the trial that a signal or a debugger had stopped (state T or t), as NAME (PID)."""
    gpus: Sequence[GpuSample] = ()
    """By index; empty for a machine without NVIDIA's driver, and in records of before."""
    cpu_by_role_s: Mapping[str, float] = field(default_factory=dict)
    """Role (vbench.validity.own_cpu) -> CPU seconds of the trial's processes with it since sampling began;
    empty in records of earlier versions."""
    bounds: CpuBounds | None = None
    """None in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """One look at one node: a line of ``nodes.jsonl``."""

    node: str
    at_s: float
    """Monotonic seconds of the node."""
    cpu_s: float
    """CPU seconds so far of the trial's processes on this node, of those that have ended included."""
    memory_mb: float
    """Memory of the trial's processes on this node: private pages, and what of /dev/shm is in use."""
    nic_sent_bytes: int
    """Since boot, over all interfaces but loopback."""
    nic_received_bytes: int
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
    began_s: float | None = None
    """Monotonic seconds just before the NICs' bytes were read, as ``at_s`` is just after: a busy machine may
    let the reader wait in between. None in earlier records."""

    @property
    def earliest_s(self) -> float:
        """The earliest that the NICs' bytes may have been read."""
        return self.at_s if self.began_s is None else self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Connections from one node's raylet to a peer's object manager, counted while objects moved."""

    sender: str
    receiver: str
    expected: int
    """What the runtime setting asks for."""
    established: int
    """The most at one moment."""
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
class Listener:
    """A socket that took connections on the service's port while requests were measured."""

    pid: int | None
    """None if no process is seen to hold it."""
    command: str
    own: bool
    """Whether it is the proxy of the trial's own Serve."""
    present_percent: float
    """Of the times it was looked for, before, while and after requests were measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedReplica:
    """A replica of the trial's own graph."""

    replica: str
    """As in spans: ``VideoDecoder#k3x9...``."""
    node: str

    @property
    def deployment(self) -> str:
        """The deployment's name."""
        return self.replica.partition("#")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The graph that a trial deployed, to tell whether it was what answered, and as configured."""

    deployment_id: str
    """Drawn for this trial and given to the graph, which repeats it in each answer."""
    listeners: Sequence[Listener]
    """Who took connections on the service's port."""
    replicas_before: Sequence[PlacedReplica]
    """Its replicas as the measured time began."""
    replicas_after: Sequence[PlacedReplica]
    """Its replicas as the measured time ended."""
    replicas_configured: Mapping[str, int]
    """Deployment -> replicas that the configuration asks for, on this cluster."""
    model_fingerprint: str
    """Of the detector that the configuration asks for."""
    served_before: Mapping[str, int]
    """API replica -> HTTP requests that had reached it by the end of the warm-up."""
    warm_up_requests: int
    """Sent before the measured ones."""
    compute_alone_s: Mapping[str, float]
    """Stage -> CPU seconds per frame over a replica's threads; empty if the nodes are other machines."""
    compute_first_s: Mapping[str, float]
    """Stage -> seconds of compute per frame of the warm-up's slowest request; empty without a warm-up."""
    proxy_served_before: int | None = None
    """HTTP requests of any kind that had reached Serve's proxy by the end of the warm-up; None in records of
    earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The longest time for which a thread did not wake that should wake every 50 ms."""

    where: str
    """``client``, ``harness``, ``agent of NODE``, or ``samples of ...``."""
    worst_ms: float
    """Between two wakes; of samples, what came between two of them beyond their period."""
    suspended_ms: float = 0.0
    """Of it, the time that the machine was suspended."""
    at_s: float | None = None
    """Monotonic seconds at its end; None if no gap was worth the name."""
    wakes: int = 0
    """0: nothing was watched."""
    stood_ms: float | None = None
    """Of all gaps longer than 100 ms together, the time for which the thread did not wait for a CPU: it was
    stopped, or waited for a disk or a lock. None if the kernel does not count how long threads wait, of
    samples, and in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a fixed piece of work makes of the machine's CPUs, in units per second of wall time."""

    single_per_s: float
    """Of one process."""
    all_per_s: float
    """Of one process for each usable core, together."""
    processes: int
    tries: int = 1
    """A speed that differs from the one before is measured again; this is the best of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedChange:
    """The speed of a machine that carries nodes of a cluster that is elsewhere, by an agent on it."""

    before: Speed
    """As the load process has connected, before it deploys anything."""
    after: Speed
    """After the last answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What the harness saw of itself and of its machine, beside the load process."""

    stalls: Sequence[Stall] = ()
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``harness`` and ``harness's machine`` -> facts; vbench.telemetry.conditions says which."""
    speed_before: Speed | None = None
    """Of the machine, before the cluster is started; None for a cluster that is elsewhere."""
    speed_after: Speed | None = None
    """And after it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What the load process saw beside requests, spans and samples."""

    ray_version: str
    ray_commit: str
    phases_s: Mapping[str, float]
    """Seconds of connect, deploy, warm_up, settle, measure and drain."""
    flags_requested: Mapping[str, str]
    """Environment variables asked for; empty for what Ray does by itself."""
    flags_found: list[NodeRuntime]
    placement: Mapping[str, Mapping[str, int]]
    """Deployment -> node -> replicas."""
    connections: list[Connections]
    """Of each pair of nodes between which frames had to move; empty on one node."""
    cold_deployments: list[str] | None = None
    """Deployments of which a replica saw no warm-up request; None where that was not looked at."""
    post_run_bytes: Mapping[str, int] = field(default_factory=dict)
    """Node -> bytes that it sent after the last answer, until the links were quiet; empty without links."""
    oom_kills: int | None
    """Processes the kernel killed for want of memory while the load ran; None where it does not count."""
    unsent_requests: int
    """Requests that were not sent any more after one had failed."""
    hardware: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Node -> cpu, cores, memory_mb, kernel, python, packages; empty for clusters on this machine."""
    clocks_off_s: Mapping[str, float] = field(default_factory=dict)
    """Node -> how far its clock is ahead of the load process's, in s; empty where all share one."""
    graph: Graph | None = None
    """The graph that was deployed for the trial; None for a load without one."""
    stalls: Sequence[Stall] = ()
    """Of the load process, and of each node's agent; empty in records of earlier versions."""
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``load process``, ``raylet of NODE``, ``NODE's machine`` -> facts, as in ``Harness``."""
    speeds: Mapping[str, SpeedChange] = field(default_factory=dict)
    """Machine, called by its nodes joined by ``+``, -> its speed; empty where the harness measures it."""


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
    served_detector: str | None = None
    """The same of the detector that replicas must have; None in records of before."""
    variants: Sequence[Mapping[str, str]] = ()
    """The same pictures from another keyframe on: path, fingerprint and reference of each. Requests ask for
    the clip and these in turn, so that no two in a row are the same."""
    compute_s: Mapping[str, float] = field(default_factory=dict)
    """Stage -> CPU seconds per frame over a replica's threads, measured before the trial; empty if its nodes
    are other machines."""
    periods_filled: int | None = None
    """Periods of 1/fps s, from the first picture on, in which the container has a picture; None in records of
    earlier versions."""
    checks: Sequence["ReferenceChecks"] = ()
    """Of the clip's reference pass and of each variant's; empty in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceChecks:
    """Some frames of one reference pass, held against what neither it nor the service had a part in."""

    video: str
    """Fingerprint of the clip or the variant."""
    plain_frames: int
    """Frames in which a second, plain implementation of the detector searched too; 0 for other detectors."""
    plain_objects: int
    """Objects in them, of whichever found more."""
    plain_wrong: int
    """Objects that one of the two did not find, or found elsewhere or with another score."""
    plain_first: str
    """The first of these, in words; empty if there are none."""
    frames_moved: int | None
    """Sampled frames of a scene in which objects have moved since the one before; None for other videos."""
    frames_repeated: int | None
    """Of these, frames whose detections are to the bit those of the frame before."""
    pictures: int
    """Frames of a scene whose pixels were compared; 0 for other videos."""
    likeness: float | None
    """Of these the least correlation of coarse luma with the picture that was rendered; 1 is the same."""
    detail: float | None
    """RMS of the detail, in levels of luma, that a picture of half the resolution would lack."""
    detail_lost: float | None
    """RMS of what of this detail is missing or wrong, as a share of it: 0 is none."""
    levels_share: float | None
    """Levels of brightness in the frames, as a share of those in the pictures that a plain decoder gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of validity, and whether a trial passed it."""

    name: str
    passed: bool
    observed: str
    """What was observed, with its unit."""
    remedy: str
    """What to do if it is broken."""

    @property
    def line(self) -> str:
        """The rule and what was observed, in one line."""
        return f"{self.name}: {self.observed}"


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
    """Units are in the names; vbench.record.metrics says how each is computed."""
    phases_s: Mapping[str, float]
    config: Mapping[str, Any]
    config_fingerprint: str
    """Of all that can change a result: config without block, outputs and tracking."""
    environment: Mapping[str, Any]
    clip: Clip | None
    network: Network | None
    """The emulated network; None for clusters that have a real one, or none."""
    load_report: LoadReport | None
    bottleneck: Bottleneck | None = None
    """None for a trial that was not measured to its end, and in records of schema version 2."""
    loosened: Sequence[str] = ()
    """``KEY=VALUE (shipped: VALUE)`` of each bound of a rule that is looser than the shipped one, and
    ``KEY=0 (WHAT is not judged)`` of each rule that was left out."""
    harness: Harness | None = None
    """What the harness saw of itself and of the machine; None in records of earlier versions."""
    ledger: str | None = None
    """Hash of the line with which the ledger of its outputs folder begins it (vbench.record.ledger); None in
    older records, and if that line could not be written."""
    folder: str = field(default="", metadata={"transient": True})
    """Where it was read from; not written."""

    @property
    def broken(self) -> list[Rule]:
        """The rules that the trial breaks."""
        return [rule for rule in self.rules if not rule.passed]


APPROXIMATE = "APPROXIMATE: keyframes stand in for the requested frames (pipeline.keyframes_only)."
RANDOM_WEIGHTS = (
    "RANDOM WEIGHTS: the model was never trained (model.weights=random). Its cost is real,"
    " its detections are not."
)


def result_caveats(trials: Iterable[Trial]) -> list[str]:
    """Sentences that every result of these trials must show first; none without such a setting."""
    found = set()
    for trial in trials:
        if trial.config["pipeline"].get("keyframes_only", False):  # older records know no such thing
            found.add(APPROXIMATE)
        if trial.config["model"].get("weights") == "random":
            found.add(RANDOM_WEIGHTS)
    return sorted(found)
