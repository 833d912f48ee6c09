"""The typed schema of ``conf/``: what may be set, of which type, and what each field means.

The one-line docstrings under the fields are what ``vbench --help`` prints. The dataclasses are
not frozen, because OmegaConf makes frozen ones read-only to overrides; nothing changes them after
``vbench.run.compose`` has validated them. What the service has a part in is written where the service is:
``vbench.models.settings``, ``vbench.pipeline.settings`` and ``vbench.video.scenes.settings``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.config.results_schema import AnalysisConfig, TrackingConfig
from vbench.models.settings import ModelSettings
from vbench.pipeline.settings import DeploymentSettings, PipelineSettings
from vbench.video.scenes.settings import SceneOptions

MISSING: Any = "???"
"""OmegaConf's mark of a value that a config file or the command line must give."""


@dataclass
class NodeConfig:
    """One node of the cluster."""

    cpus: int | None = None
    """CPUs that Ray may schedule on; null: all that vbench may use here (affinity, quota)."""
    gpus: int = 0
    """GPUs that Ray may schedule on."""
    vcpus: int | None = None
    """CPUs of the machine, for manifests; null: the same as cpus."""
    memory_mb: int | None = None
    """Memory of the machine, in MiB; for manifests."""
    object_store_mb: int = 1024
    """Shared memory for objects (frames, chunks), in MB."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom resources by name, e.g. {chunk_only: 1}."""
    instance: str | None = None
    """Instance type of the cloud that this node is, or represents."""
    nic_mbps: float | None = None
    """Rate of its network card in each direction, in Mbit/s, before cluster.scale; for cluster=emulated."""
    flow_mbps: float | None = None
    """Cap of one TCP connection that it sends on; null: cluster.flow_mbps; for cluster=emulated."""
    count: int | None = None
    """Equal nodes, named NAME1, NAME2 and so on; null: one node, named NAME."""


@dataclass
class DeploymentsConfig:
    """The four stages of the graph."""

    api: DeploymentSettings = field(default_factory=DeploymentSettings)
    """VideoProcessingAPI: HTTP ingress, on the head."""
    service: DeploymentSettings = field(default_factory=DeploymentSettings)
    """VideoProcessingService: splits the video and orchestrates."""
    decoder: DeploymentSettings = field(default_factory=DeploymentSettings)
    """VideoDecoder: FFmpeg."""
    inference: DeploymentSettings = field(default_factory=DeploymentSettings)
    """ModelInference: object detection."""


@dataclass
class LinkEventConfig:
    """A change of one node's rates while requests are measured; rates as configured, before cluster.scale."""

    at_s: float | None = None
    """Seconds after the measured phase began."""
    node: str | None = None
    """Name of the node."""
    nic_mbps: float | None = None
    """New rate of its network card in each direction, in Mbit/s; null: unchanged."""
    flow_mbps: float | None = None
    """New cap of one TCP connection that it sends on, in Mbit/s; null: unchanged."""


@dataclass
class ClusterConfig:
    """Where a trial runs."""

    name: str = MISSING
    """Name of the chosen option."""
    nodes: dict[str, NodeConfig] = field(default_factory=dict)
    """The nodes by name; the first is the head."""
    deployments: DeploymentsConfig = field(default_factory=DeploymentsConfig)
    """Replicas and placement of api, service, decoder and inference."""
    flow_mbps: float | None = None
    """Cap of one TCP connection, in Mbit/s, before cluster.scale; for cluster=emulated."""
    scale: float = 1
    """Divisor of every rate of cluster=emulated: at 100, 1/100 of a video takes as long as in the cloud."""
    events: list[LinkEventConfig] = field(default_factory=list)
    """Changes of rates in a trial: [{at_s: 20, node: decode, nic_mbps: 5000}]; for cluster=emulated."""
    congestion_control: str = "cubic"
    """TCP's congestion control in cluster=emulated."""
    address: str | None = None
    """URL of the dashboard of a cluster that already runs; for cluster=attached."""
    addresses: dict[str, str] = field(default_factory=dict)
    """URL of the dashboard per runtime option, if each has its own cluster; wins over address."""
    dependencies: str = "image"
    """Packages on the nodes of cluster=attached: image (all are there) or pip (Ray installs them)."""
    region: str | None = None
    """The cloud's region, for manifests."""
    dashboard_port: int | None = None
    """Port of Ray's dashboard and Jobs API on the head of cluster=emulated; null: no dashboard."""
    private_network: bool | None = None
    """Whether cluster=local has a network namespace of its own; null: if the kernel allows it."""
    http_port: int = 0
    """Port of the HTTP ingress on loopback; 0: the kernel chooses a free one (manifests: 8000)."""
    start_timeout_s: float = 90
    """Deadline for starting the cluster, in seconds; on cluster=emulated, for each host in turn."""
    deploy_timeout_s: float = 120
    """Deadline for deploying the graph, in seconds."""


@dataclass
class RuntimeConfig:
    """Which Ray runtime setting is measured."""

    name: str = MISSING
    """Name of the chosen option."""
    connections: int | None = None
    """Connections from one raylet to each peer, 1 to 64; null: Ray's own default (2)."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables of every Ray process, by name: runtime.env.NAME=VALUE."""
    python: str | None = None
    """Python of another environment, with the Ray and torch that the arm runs on; null: this one."""
    image: str | None = None
    """Container image with this runtime, for manifests."""


@dataclass
class Named:
    """What every group has that chooses among options of its own."""

    name: str = MISSING
    """Name of the chosen option."""


@dataclass(kw_only=True)
class PipelineConfig(PipelineSettings, Named):
    """How the work flows between the stages.

    The fields that stand here once more have other defaults than the service, or a type that OmegaConf has.
    """

    fps: str = "1"
    chunk_s: float = 5.0
    window: int = 4
    decode_timeout_s: float = 120.0


@dataclass
class VideoConfig:
    """Which video is processed."""

    name: str = MISSING
    """Name of the chosen option."""
    path: str | None = None
    """With video=file: a local file, or an address (http, https, s3, gs) that each request fetches."""
    fetch_timeout_s: float = 600
    """Deadline for fetching a remote video, in seconds."""
    scene: SceneOptions | None = None
    """The synthetic scene, with video=scene."""


@dataclass
class LoadConfig:
    """How many requests are sent, and when."""

    name: str = MISSING
    """Name of the chosen option."""
    requests: int = 48
    """Number of measured requests, one video each."""
    concurrency: int = 4
    """Requests in flight at a time (closed loop, and the warm-up of an open load)."""
    warmup: int = 4
    """Requests that are sent first and not counted; 0: cold replicas are not judged."""
    timeout_s: float = 600
    """Deadline for the response to a request, in seconds."""
    rate: float | None = None
    """Open loads: requests/s that are sent, however many are in flight; of load=ramp, at its start."""
    rate_end: float | None = None
    """With load=ramp: requests/s at its end."""
    duration_s: float = 60
    """Open loads: seconds in which requests are due; load.requests is the most that there may be."""
    trace: str | None = None
    """With load=trace: JSONL file with at_s, and for workload=app a request, per line."""
    speed: float = 1
    """With load=trace: how many times as fast it is replayed."""
    in_flight_limit: int = 1000
    """Open loads: requests that may be on their way at once; one that is due beyond them fails."""
    objective: str | None = None
    """Open loads: what a service must hold, such as "p95<2s,errors<0.1%"; null: only answer."""
    seed: int = 1
    """Seed of the order of requested videos and, with the sweep's id, of the order of arms."""
    max_late_ms: float = 250
    """Most milliseconds that a request may be sent late; beyond it the trial is invalid."""
    max_foreign_cpu_percent: float = 5
    """Most CPU that other programs may use, in percent of the machine; beyond it the trial is invalid."""
    max_machine_cpu_percent: float = 85
    """Most CPU in use while bytes move on cluster=emulated, in percent; beyond it the trial is invalid."""
    max_stall_ms: float = 1000
    """Longest stall of the client, a sampler or a node, in ms, if max_stall_percent does not allow more."""
    max_stall_percent: float = 3
    """The same limit in percent of the measured time, which is about what a stop adds to the mean latency."""
    max_speed_change_percent: float = 40
    """Most change of the machine's speed during a trial, in percent; 100: the speed is not measured."""
    max_foreign_gpu_percent: float = 5
    """Most use of the trial's GPUs by other programs, in percent; beyond it the trial is invalid."""
    min_scene_map50: float = 0.5
    """Least mAP at IoU 0.5 on a scene; below it the trial is invalid; 0: no minimum."""
    object_mb: float = 64
    """With load=transfer: size of one object, in MB."""
    objects: int = 4
    """With load=transfer: objects of one request, which are pulled concurrently."""
    sample_period_s: float = 1.0
    """Seconds between samples of CPU, memory, network and object store."""


@dataclass
class AppConfig:
    """The Serve application of workload=app, and the requests that are sent to it."""

    import_path: str | None = None
    """MODULE:NAME of an application, or of a function that builds one."""
    config: str | None = None
    """Serve's config file in app.working_dir, with one or several applications; instead of import_path."""
    args: dict[str, Any] = field(default_factory=dict)
    """Arguments of that function, by name: app.args.NAME=VALUE."""
    working_dir: str = "."
    """Folder that the module and its files are in; it is put onto PYTHONPATH."""
    method: str = "GET"
    """HTTP method of the request, unless app.requests gives several."""
    path: str = "/"
    """Path of the request, with its query."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the request, by name: app.headers.NAME=VALUE."""
    body: str | None = None
    """Body of the request, as text in UTF-8; null: none."""
    requests: str | None = None
    """JSONL file in app.working_dir with a request per line: method, path, headers, body, json, weight."""
    check: str | None = None
    """Correct responses: digest, json:PATH, json:PATH=VALUE or MODULE:FUNCTION; null: only the status."""


@dataclass
class Config:
    """The configuration of one trial."""

    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where a trial runs."""
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Which Ray runtime setting is measured."""
    model: ModelSettings = field(default_factory=lambda: ModelSettings(name=MISSING))
    """Which detector, and how it runs."""
    mode: str = MISSING
    """chunked or combined."""
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    """How frames travel and how the stages overlap."""
    video: VideoConfig = field(default_factory=VideoConfig)
    """Which video is processed."""
    load: LoadConfig = field(default_factory=LoadConfig)
    """How many requests are sent, and when."""
    workload: str = "video"
    """What is measured: video (the built-in service), transfer (objects) or app (your own application)."""
    app: AppConfig | None = None
    """The application, with workload=app."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where results are logged beside the record files."""
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    """What a comparison decides."""
    label: str = ""
    """Free name of an arm: with label=a,b an arm is measured against itself."""
    block: int = 0
    """Number of the block that the trial belongs to, from 0."""
    blocks: int | str = 1
    """Blocks of a sweep; in each, every arm runs once, in balanced random order; auto: until decided."""
    design: str = "full"
    """Arms of a sweep: full (every combination), oneway (one key at a time) or fractional (two-level)."""
    outputs: str = "outputs"
    """Folder of all records, caches and the MLflow database."""


def from_plain(data: Mapping[str, Any]) -> Config:
    """What ``dataclasses.asdict`` made of a configuration, back through the schema.

    OmegaConf's errors if it has a key that this schema does not have, or a value of another type.
    """
    from omegaconf import OmegaConf

    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), dict(data)))
    assert isinstance(config, Config)
    return config
