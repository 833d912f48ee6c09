"""The typed schema of ``conf/``: what may be set, of which type, and what each field means.

The one-line docstrings under the fields are what ``python -m vbench --help`` prints. The dataclasses are
not frozen, because OmegaConf makes frozen ones read-only to overrides; nothing changes them after
``vbench.run.compose`` has validated them. What the service has a part in is written where the service is:
``vbench.models.settings``, ``vbench.pipeline.settings`` and ``vbench.video.scenes.settings``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.models.settings import ModelSettings
from vbench.pipeline.settings import DeploymentSettings, PipelineSettings
from vbench.video.scenes.settings import SceneOptions

MISSING: Any = "???"
"""OmegaConf's mark of a value that a config file or the command line must give."""


@dataclass
class NodeConfig:
    """One node of the cluster."""

    cpus: int | None = None
    """CPUs that Ray is told of; null: all that vbench may use here (affinity, quota)."""
    gpus: int = 0
    """GPUs that Ray is told of."""
    vcpus: int | None = None
    """CPUs of the machine, for manifests; null: as many as Ray is told of."""
    memory_mb: int | None = None
    """Memory of the machine, in MiB; for manifests."""
    object_store_mb: int = 1024
    """Shared memory for objects (frames, chunks), in MB."""
    resources: dict[str, float] = field(default_factory=dict)
    """Custom resources by name, e.g. {chunk_only: 1}."""
    instance: str | None = None
    """The cloud's instance type that this node is, or stands for."""
    nic_mbps: float | None = None
    """Rate of its network card in Mbit/s, each way, before cluster.scale; for cluster=emulated."""


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
class ClusterConfig:
    """Where it runs."""

    name: str = MISSING
    """The option chosen."""
    nodes: dict[str, NodeConfig] = field(default_factory=dict)
    """The nodes by name; the first is the head."""
    deployments: DeploymentsConfig = field(default_factory=DeploymentsConfig)
    """Replicas and placement of api, service, decoder and inference."""
    flow_mbps: float | None = None
    """Most that one TCP connection gets, in Mbit/s, before cluster.scale; for cluster=emulated."""
    scale: float = 1
    """Divides every rate of cluster=emulated: at 100, 1/100 of the video takes the cloud's seconds."""
    congestion_control: str = "cubic"
    """TCP's congestion control in cluster=emulated."""
    address: str | None = None
    """URL of the dashboard of a cluster that runs already; for cluster=attached."""
    addresses: dict[str, str] = field(default_factory=dict)
    """The same by the name of the runtime option, where each has a cluster of its own; wins over address."""
    dependencies: str = "image"
    """What cluster=attached finds on its nodes: image (all packages), or has Ray install there: pip."""
    region: str | None = None
    """The cloud's region, for manifests."""
    dashboard_port: int | None = None
    """Port of Ray's dashboard and Jobs API on the head of cluster=emulated; null: none."""
    private_network: bool | None = None
    """Whether cluster=local has a network that nobody else reaches; null: if the kernel allows it."""
    http_port: int = 0
    """Port of the HTTP ingress on loopback, for this trial alone; 0: the kernel chooses (manifests: 8000)."""
    start_timeout_s: float = 90
    """The cluster must be up within this time."""
    deploy_timeout_s: float = 120
    """The graph must be running within this time."""


@dataclass
class RuntimeConfig:
    """Which Ray runtime setting is measured."""

    name: str = MISSING
    """The option chosen."""
    connections: int | None = None
    """Connections from one raylet to each peer: 1 to 64; null: what this Ray does by itself (2)."""
    image: str | None = None
    """Container image with this runtime, for clusters that use one."""


@dataclass
class Named:
    """What every group has that chooses among options of its own."""

    name: str = MISSING
    """The option chosen."""


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
    """The option chosen."""
    path: str | None = None
    """With video=file: a local file, or an address (http, https, s3, gs) that each request fetches anew."""
    fetch_timeout_s: float = 600
    """A video that lies elsewhere must be there within this time."""
    scene: SceneOptions | None = None
    """The synthetic scene, with video=scene."""


@dataclass
class LoadConfig:
    """How requests arrive."""

    name: str = MISSING
    """The option chosen."""
    requests: int = 48
    """Measured requests, one video each."""
    concurrency: int = 4
    """Requests in flight at a time (closed loop)."""
    warmup: int = 4
    """Requests sent first and not counted; 0: cold replicas are not judged."""
    timeout_s: float = 600
    """A request not answered within this time has failed."""
    seed: int = 1
    """Draws whatever is random about the load; a closed loop has nothing that is."""
    max_late_ms: float = 250
    """The client may be late by so much; beyond it the trial is invalid."""
    max_foreign_cpu_percent: float = 5
    """Of the machine's CPU, other programs may use so much; beyond it the trial is invalid."""
    max_machine_cpu_percent: float = 85
    """Of an emulated cluster's machine while bytes moved; beyond it the CPUs, not the links, set the pace."""
    max_stall_ms: float = 1000
    """The client, a sampler or a node may stand still for so long, or for ``max_stall_percent`` of the
    measured time where that is longer; beyond both the trial is invalid."""
    max_stall_percent: float = 3
    """About so much may one stop raise the mean latency of a closed loop."""
    max_speed_change_percent: float = 40
    """The machine's speed after a trial may differ so much from that before; 100: it is not measured."""
    max_foreign_gpu_percent: float = 5
    """Of each GPU that the trial uses, other programs may use so much; beyond it the trial is invalid."""
    min_scene_map50: float = 0.5
    """On a scene the detector must reach this mAP at IoU 0.5; below it the trial is invalid; 0: no floor."""
    object_mb: float = 64
    """With load=transfer: size of one object, in MB."""
    objects: int = 4
    """With load=transfer: objects of one request, which are pulled side by side."""
    sample_period_s: float = 1.0
    """Seconds between samples of CPU, memory, network and object store."""


@dataclass
class TrackingConfig:
    """Where results are logged beside the record files."""

    name: str = MISSING
    """The option chosen."""
    experiment: str = "vbench"
    """MLflow's experiment name."""


@dataclass
class Config:
    """One trial, whole."""

    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where it runs."""
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Which Ray runtime setting is measured."""
    model: ModelSettings = field(default_factory=lambda: ModelSettings(name=MISSING))
    """Which detector, and how it runs."""
    mode: str = MISSING
    """chunked or combined."""
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    """How the work flows between the stages."""
    video: VideoConfig = field(default_factory=VideoConfig)
    """Which video is processed."""
    load: LoadConfig = field(default_factory=LoadConfig)
    """How requests arrive."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where results are logged beside the record files."""
    label: str = ""
    """Names an arm that sets nothing: with label=a,b an arm is measured against itself."""
    block: int = 0
    """The round of a study this trial belongs to."""
    blocks: int = 1
    """Rounds of a sweep; in each, every arm runs once, in a balanced order drawn from the sweep's id."""
    outputs: str = "outputs"
    """Folder of all records, caches and the MLflow database."""


def from_plain(data: Mapping[str, Any]) -> Config:
    """What ``dataclasses.asdict`` made of a configuration, back through the schema.

    OmegaConf's errors where it holds what this schema does not, or of another type.
    """
    from omegaconf import OmegaConf

    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), dict(data)))
    assert isinstance(config, Config)
    return config
