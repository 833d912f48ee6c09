"""What the load process reports in addition to requests, spans and samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vbench.record.harness import SpeedChange, Stall


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Connections from one node's raylet to a peer's object manager, counted while objects moved."""

    sender: str
    receiver: str
    expected: int
    """By the runtime setting."""
    established: int
    """The most at one moment."""
    moved_bytes: int
    """Bytes of frames that had to move on this route, including the warm-up; for an application, bytes that
    the sender's object manager sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRuntime:
    """The runtime's variables on one node, as found in the environment of its raylet."""

    node: str
    raylet_pid: int
    flags: Mapping[str, str] | None
    """None if the environment could not be read, which proves nothing."""
    transfer_threads: int | None = None
    """With which this raylet takes chunks from other nodes; None in records of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """The variables of ``runtime.env`` in one process."""

    role: str
    """As in ``vbench.ray_internals.setting_readers``."""
    node: str
    pid: int
    """0 if an actor did not answer."""
    found: Mapping[str, str] | None
    """None if its environment could not be read, which proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSign:
    """What was seen of a setting in one process, beside its variable."""

    sign: str
    """As in ``vbench.ray_internals.setting_signs``."""
    node: str
    process: str
    """``raylet``, a replica, or ``HAProxy``."""
    value: float | None
    """None if there was nothing to see, as of chunks where no object moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A socket that took connections on the service's port while requests were measured."""

    pid: int | None
    """None if its process is not known."""
    command: str
    own: bool
    """Whether it is the trial's own: of Serve's proxy, or of a replica that takes requests itself."""
    present_percent: float
    """Share of the samples, before, while and after requests were measured, in which it was present."""
    port: int | None = None
    """None in records of earlier versions, which have one port."""


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
    """The graph that a trial deployed, to check that it answered, and as configured."""

    deployment_id: str
    """Random id that was given to this trial's graph, which repeats it in each response."""
    listeners: Sequence[Listener]
    """Who took connections on the service's port."""
    replicas_before: Sequence[PlacedReplica]
    """Its replicas when the measurement began."""
    replicas_after: Sequence[PlacedReplica]
    """Its replicas when the measurement ended."""
    replicas_configured: Mapping[str, int]
    """Deployment -> its number of replicas by the configuration, on this cluster."""
    model_fingerprint: str
    """Of the configured detector."""
    served_before: Mapping[str, int]
    """API replica -> HTTP requests that had reached it by the end of the warm-up."""
    warm_up_requests: int
    """Sent before the measured ones."""
    compute_alone_s: Mapping[str, float]
    """Stage -> CPU seconds per frame over a replica's threads; empty if the nodes are other machines."""
    compute_first_s: Mapping[str, float]
    """Stage -> seconds of compute per frame of the warm-up's slowest request; empty without a warm-up."""
    proxy_served_before: int | None = None
    """HTTP requests of any kind that had reached Serve's proxy, or HAProxy in its place, by the end of the
    warm-up; None in records of earlier versions."""
    proxy_served_after: int | None = None
    """The same after the last measured request, as HAProxy reports it; None for Serve's own proxy, which
    reports it with each response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReport:
    """The user's application of workload=app, and how its responses were checked."""

    import_path: str
    """As in app.import_path; the name of the file with app.config."""
    code: str
    """Digest of the Python files below app.working_dir."""
    check: str | None
    """As in app.check; None if only the status was checked."""
    response_digests: Mapping[str, str]
    """Request -> digest of what must be the same in every response to it; empty if nothing must be."""
    config: str | None = None
    """Text of Serve's config file, app.config."""
    listeners: Sequence[Listener] | None = None
    """Who took connections on the port that requests went to; None if all went to other nodes, and in records
    of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What the load process observed in addition to requests, spans and samples."""

    ray_version: str
    ray_commit: str
    phases_s: Mapping[str, float]
    """Seconds of connect, deploy, warm_up, settle, measure and drain."""
    flags_requested: Mapping[str, str]
    """The configured environment variables; empty for Ray's defaults."""
    flags_found: list[NodeRuntime]
    settings_found: Sequence[ProcessSettings] = ()
    """Every process in which a variable of ``runtime.env`` was looked for; empty without one."""
    setting_signs: Sequence[SettingSign] = ()
    """What else was seen of variables of ``runtime.env``; empty if nothing can be seen of them."""
    placement: Mapping[str, Mapping[str, int]]
    """Deployment -> node -> replicas."""
    connections: list[Connections]
    """For each pair of nodes between which frames had to move, or an application's objects moved; empty on
    one node."""
    cold_deployments: list[str] | None = None
    """Deployments with a replica that had no warm-up request; None if that was not checked."""
    post_run_bytes: Mapping[str, int] = field(default_factory=dict)
    """Node -> bytes that it sent after the last response, until the links were idle; empty without links."""
    oom_kills: int | None
    """Processes that the kernel killed for lack of memory while the load ran; None if it does not count
    them."""
    unsent_requests: int
    """Requests that were not sent because another one had failed."""
    hardware: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Node -> cpu, cores, memory_mb, kernel, python, packages; empty for clusters on this machine."""
    clocks_off_s: Mapping[str, float] = field(default_factory=dict)
    """Node -> how far its clock is ahead of the load process's, in s; empty if all share one."""
    graph: Graph | None = None
    """The graph that was deployed for the trial; None for a load without one."""
    app: AppReport | None = None
    """The user's application; None for other workloads."""
    stalls: Sequence[Stall] = ()
    """Of the load process, and of each node's agent; empty in records of earlier versions."""
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``load process``, ``raylet of NODE``, ``NODE's machine`` -> facts, as in ``Harness``."""
    speeds: Mapping[str, SpeedChange] = field(default_factory=dict)
    """Machine (its nodes joined by ``+``) -> its speed; empty if the harness measures it."""
