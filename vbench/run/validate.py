"""What the types cannot say about a configuration: ranges, choices, and what must fit together."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import get_args

from vbench.clusters.attached.validate import attached
from vbench.clusters.emulated.validate import EMULATED, network
from vbench.config import transfer
from vbench.config.path_option import IN_A_URL, LOOP, leads_to_itself, usable_outputs
from vbench.config.quoting import override
from vbench.config.runtime_flags import RuntimeFlagError, flag_variables
from vbench.config.schema import MISSING, ClusterConfig, Config, NodeConfig, PipelineConfig
from vbench.config.sizing import deployments, node_cpus, replicas
from vbench.errors import nearest
from vbench.models.settings import Precision
from vbench.pipeline.settings import (
    HWACCELS,
    MAX_CALLS,
    DeploymentSettings,
    FrameSize,
    Handoff,
    Mode,
)
from vbench.ray_internals.node import HEAD_RESOURCE, LEAST_RESOURCE, MOST_RESOURCE, SMALLEST_OBJECT_STORE_MB
from vbench.video.addresses import path_of, scheme_of
from vbench.video.errors import VideoError
from vbench.video.exact_number import frame_rate
from vbench.video.fetch.download import SCHEMES, shown
from vbench.video.fetch.local_files import NEVER
from vbench.video.pixel_format import PixelFormat
from vbench.video.scenes.settings import SceneOptions, SceneSettings

CHOICES: dict[str, tuple[str, ...]] = {
    "mode": get_args(Mode),
    "pipeline.handoff": get_args(Handoff),
    "pipeline.frame_size": get_args(FrameSize),
    "pipeline.pixel_format": get_args(PixelFormat),
    "model.precision": get_args(Precision),
    "tracking.name": ("sqlite", "off"),
    "load.name": ("closed", transfer.TRANSFER),
}

POSITIVE = (
    "model.batch_size",
    "pipeline.chunk_s",
    "pipeline.window",
    "pipeline.decode_timeout_s",
    "video.fetch_timeout_s",
    "load.requests",
    "load.concurrency",
    "load.timeout_s",
    "load.max_late_ms",
    "load.max_foreign_cpu_percent",
    "load.max_stall_ms",
    "load.max_stall_percent",
    "load.max_speed_change_percent",
    "load.max_foreign_gpu_percent",
    "load.sample_period_s",
    "load.object_mb",
    "load.objects",
    "cluster.start_timeout_s",
    "cluster.deploy_timeout_s",
)

MOST_BLOCKS = 1000

MOST_BATCH = 1024
"""Frames of one forward pass; that many take gigabytes."""

LONGEST_EXPERIMENT = 500
"""Characters of an experiment's name that MLflow takes."""

MOST = 1_000_000
"""Above what any count, length or time-out of a trial can sensibly be."""

SHORTEST_SAMPLE_PERIOD_S = 0.02
"""More samples would take CPU time from what is measured, and fill the disk."""

LONGEST_SAMPLE_PERIOD_S = 1.0
"""Whether a link or a CPU was what transfers waited for is told from one sample to the next."""

RAYS_OWN = {
    "CPU": "give cpus instead",
    "GPU": "give gpus instead",
    "memory": "leave it out",
    "object_store_memory": "leave it out; a node's is object_store_mb",
}
"""Names that Ray has itself, and what to do instead of giving them as custom resources."""


def problems(config: Config) -> list[str]:
    """One sentence for each thing that is wrong, naming key, value and remedy; empty where all is well."""
    return list(_problems(config))


def value_at(config: object, key: str) -> object:
    """The value at a dotted key."""
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


def _problems(config: Config) -> Iterator[str]:
    yield from _single_values(config)
    yield from _costs(config)
    yield from _experiment(config)
    if config.load.concurrency > config.load.requests:
        yield (
            f"load.concurrency={config.load.concurrency} is more than load.requests={config.load.requests};"
            f" lower the one or raise the other."
        )
    try:
        flag_variables(config.runtime.connections)
    except RuntimeFlagError as error:
        yield str(error)
    yield from rate("pipeline.fps", config.pipeline.fps)
    yield from _pipeline(config.pipeline)
    yield from network(config)
    yield from attached(config.cluster)
    yield from _video(config)
    if leads_to_itself(config.model.weights):
        yield f"model.weights={config.model.weights}: {LOOP}."
    yield from _outputs(config.outputs, is_tracked=config.tracking.name != "off")
    if config.video.scene is not None:
        yield from _scene(config.video.scene)
    complaints = list(_nodes(config))
    for name, deployment in deployments(config.cluster).items():
        complaints += _deployment(f"cluster.deployments.{name}", deployment)
    yield from complaints
    if not complaints:
        if config.load.name != transfer.TRANSFER:
            yield from _places(config.cluster) or _room(config.cluster)
        yield from transfer.problems(config)


def _single_values(config: Config) -> Iterator[str]:
    for key, choices in CHOICES.items():
        value = value_at(config, key)
        if value not in choices:
            yield f"{key}={value} does not exist: {nearest(str(value), choices)}."
    for key in POSITIVE:
        value = value_at(config, key)
        if not (isinstance(value, int | float) and 0 < value <= MOST):
            yield f"{key}={value} must be a number above 0, and not above {MOST:,}."
    if not 0 <= config.load.min_scene_map50 <= 1:
        yield f"load.min_scene_map50={config.load.min_scene_map50:g} must be from 0 (no floor) to 1."
    if not 0 <= config.load.warmup <= MOST:
        yield f"load.warmup={config.load.warmup} must be 0 or more, and not above {MOST:,}."
    if not 0 < config.load.max_machine_cpu_percent <= 100:
        yield (
            f"load.max_machine_cpu_percent={config.load.max_machine_cpu_percent:g} must lie above 0 and not"
            f" above 100."
        )
    if not 1 <= config.blocks <= MOST_BLOCKS:
        yield f"blocks={config.blocks} must lie between 1 and {MOST_BLOCKS}."
    if config.block < 0:
        yield f"block={config.block} must be 0 or more."
    if not 0 < config.model.score_threshold < 1:
        yield f"model.score_threshold={config.model.score_threshold} must lie between 0 and 1."
    if not 0 <= config.cluster.http_port <= 65535:
        yield f"cluster.http_port={config.cluster.http_port} must lie between 0 (any free one) and 65535."


def _costs(config: Config) -> Iterator[str]:
    """Values that are numbers, and that no machine or no measurement can bear."""
    if 0 < config.load.sample_period_s < SHORTEST_SAMPLE_PERIOD_S:
        yield (
            f"load.sample_period_s={config.load.sample_period_s:g} must be {SHORTEST_SAMPLE_PERIOD_S:g} s or"
            f" more: sampling more often would disturb what is measured."
        )
    if LONGEST_SAMPLE_PERIOD_S < config.load.sample_period_s <= MOST:
        yield (
            f"load.sample_period_s={config.load.sample_period_s:g} must be {LONGEST_SAMPLE_PERIOD_S:g} s or"
            f" less: what the links and the CPUs did between two samples is not seen."
        )
    if MAX_CALLS < config.load.concurrency <= MOST:
        yield f"load.concurrency={config.load.concurrency} must not be above {MAX_CALLS:,}."
    if MOST_BATCH < config.model.batch_size <= MOST:
        yield f"model.batch_size={config.model.batch_size} must not be above {MOST_BATCH:,}."
    if not config.model.weights.strip():
        yield "model.weights= names no weights: give bundled, random, a file or a model's name."


def _experiment(config: Config) -> Iterator[str]:
    name = config.tracking.experiment
    if config.tracking.name == "off":
        return
    if not name.strip():
        yield "tracking.experiment= must name an experiment, such as tracking.experiment=vbench."
    elif len(name) > LONGEST_EXPERIMENT:
        yield (
            f"tracking.experiment has {len(name)} characters, and MLflow takes {LONGEST_EXPERIMENT}: give a"
            f" shorter name."
        )


def _pipeline(pipeline: PipelineConfig) -> Iterator[str]:
    for name in ("frames_budget_mb", "chunk_mb"):
        bound = getattr(pipeline, name)
        if bound is not None and not (math.isfinite(bound) and bound > 0):
            yield f"pipeline.{name}={bound} must be above 0, or null."
    if pipeline.queue_length is not None and not 0 <= pipeline.queue_length <= MAX_CALLS:
        yield (
            f"pipeline.queue_length={pipeline.queue_length} must be 0 to {MAX_CALLS}, or null for room for"
            " all requests of the trial."
        )
    if pipeline.hwaccel is not None and pipeline.hwaccel not in HWACCELS:
        yield f"pipeline.hwaccel={pipeline.hwaccel} does not exist: {nearest(pipeline.hwaccel, HWACCELS)}."


def rate(key: str, text: str) -> Iterator[str]:
    """A complaint if ``text`` is no frame rate."""
    try:
        frame_rate(text)
    except ValueError as error:
        yield f"{key}={text}: {error}."


def _video(config: Config) -> Iterator[str]:
    video = config.video
    try:
        scheme = scheme_of(video.path or "")
    except VideoError as error:
        yield f"video.path: {error}."
        return
    if scheme not in SCHEMES:
        yield (
            f"video.path={shown(video.path or '')} cannot be read: there is no source {scheme!r} "
            f"(there are: {', '.join(SCHEMES)})."
        )
    elif scheme != "file" and config.cluster.name == EMULATED:
        yield (
            f"video.path={shown(video.path or '')} cannot be reached from cluster=emulated, whose hosts have"
            " no way out: download it and give its path."
        )
    if scheme == "file" and video.name == "file" and video.path not in (None, MISSING, ""):
        yield from _local_video(video.path or "")
    if scheme in ("s3", "gs"):
        yield from _store_address(video.path or "")
    if video.name == "file" and video.path in (None, MISSING, ""):
        yield "video=file needs a path: add video.path=clip.mp4."
    if video.name == "scene" and video.path is not None:
        yield f"video.path={video.path} is not looked at by video=scene: add video=file."
    if video.name == "scene" and video.scene is None:
        yield "video.scene=null leaves no video: set the scene, or choose video=file video.path=clip.mp4."


def _local_video(source: str) -> Iterator[str]:
    try:
        path = path_of(source)
    except VideoError as error:
        yield f"video.path: {error}."
        return
    if leads_to_itself(path):
        yield f"video.path={source}: {LOOP}."
        return
    real = path.resolve()
    if any(real.is_relative_to(folder) for folder in NEVER):
        yield (
            f"video.path={source} is no video: nothing is read from {', '.join(map(str, NEVER))}; give a file"
            f" elsewhere."
        )


def _store_address(address: str) -> Iterator[str]:
    from vbench.video.fetch.object_store import object_of

    try:
        object_of(address, shown(address))
    except VideoError as error:
        yield f"video.path: {error}."


def no_folder(outputs: str) -> str:
    """The sentence for a folder without a name, by what was given."""
    return f"outputs={outputs!r} must name a folder, such as {override('outputs', usable_outputs())}."


def _outputs(outputs: str, *, is_tracked: bool) -> Iterator[str]:
    if not outputs.strip():
        yield no_folder(outputs)
    elif leads_to_itself(outputs):
        yield f"outputs={outputs}: {LOOP}."
    elif is_tracked and (sign := IN_A_URL.search(outputs)):
        yield (
            f"outputs={outputs} has {sign[0]!r} in it, and MLflow would open another database: give a folder"
            f" without ? # % in its path, such as {override('outputs', usable_outputs())}, or tracking=off."
        )


def _scene(scene: SceneOptions) -> Iterator[str]:
    try:
        SceneSettings(**asdict(scene))
    except ValueError as error:
        yield f"video.scene: {error}."


def _nodes(config: Config) -> Iterator[str]:
    if config.cluster.name != "local" and config.cluster.private_network is not None:
        given = str(config.cluster.private_network).lower()
        yield f"cluster.private_network={given} is for cluster=local: leave it out."
    if config.cluster.name == "local" and len(config.cluster.nodes) != 1:
        yield f"cluster=local has one node, and cluster.nodes names {len(config.cluster.nodes)}."
    elif not config.cluster.nodes:
        yield f"cluster={config.cluster.name} has no node left: leave a node in."
    for name, node in config.cluster.nodes.items():
        key = f"cluster.nodes.{name}"
        if node.cpus is not None and node.cpus < 0:
            yield f"{key}.cpus={node.cpus} must be 0 or more, or null for all usable cores."
        if node.gpus < 0:
            yield f"{key}.gpus={node.gpus} must be 0 or more."
        if node.object_store_mb < SMALLEST_OBJECT_STORE_MB:
            yield (
                f"{key}.object_store_mb={node.object_store_mb} is too little: Ray needs"
                f" {SMALLEST_OBJECT_STORE_MB} MB at least."
            )
        yield from _resources(f"{key}.resources", node.resources)
        for resource, amount in node.resources.items():
            if resource.startswith("node:"):
                yield f"{key}.resources.{resource}: Ray gives each node its node:... itself; leave it out."
            elif not (amount <= 0 or (float(amount).is_integer() and amount <= MOST_RESOURCE)):
                yield (
                    f"{key}.resources.{resource}={amount:g} must be a whole number, and not above"
                    f" {MOST_RESOURCE:g}: Ray takes no other on a node."
                )


def _deployment(key: str, deployment: DeploymentSettings) -> Iterator[str]:
    if deployment.replicas is not None and deployment.replicas < 1:
        yield f"{key}.replicas={deployment.replicas} must be 1 or more, or null to size it to the cluster."
    for name, value in (("cpus", deployment.cpus), ("gpus", deployment.gpus)):
        if not (math.isfinite(value) and value >= 0):
            yield f"{key}.{name}={value} must be 0 or more."
    for name in ("max_ongoing_requests", "max_replicas_per_node"):
        most = getattr(deployment, name)
        if most is not None and most < 1:
            yield f"{key}.{name}={most} must be 1 or more, or null."
    yield from _resources(f"{key}.resources", deployment.resources)


def _resources(key: str, resources: dict[str, float]) -> Iterator[str]:
    for name, amount in resources.items():
        if name in RAYS_OWN:
            yield f"{key}.{name}={amount:g}: {name} is no custom resource; {RAYS_OWN[name]}."
        if not (math.isfinite(amount) and amount >= LEAST_RESOURCE):
            yield f"{key}.{name}={amount} must be {LEAST_RESOURCE:.4f} or more."


def _places(cluster: ClusterConfig) -> list[str]:
    """Deployments that may have so many replicas on a node, and have too few nodes for all of theirs."""
    found = []
    for name, deployment in deployments(cluster).items():
        most, asked = deployment.max_replicas_per_node, replicas(cluster, name)
        if most is None:
            continue
        needed = {"CPU": deployment.cpus, "GPU": deployment.gpus, **deployment.resources}
        nodes = sum(
            all(_held(node).get(resource, 0) + 1e-6 >= amount for resource, amount in needed.items())
            for node in cluster.nodes.values()
        )
        if nodes and asked > most * nodes:
            key = f"cluster.deployments.{name}"
            found.append(
                f"{key} has {asked} replicas, at most {most} on each node (max_replicas_per_node), and nodes"
                f" with room for one: {nodes}; give {key}.replicas={most * nodes}, or more nodes."
            )
    return found


def _held(node: NodeConfig) -> dict[str, float]:
    """All that a deployment may ask of a node; any may be the head."""
    return {"CPU": node_cpus(node), "GPU": node.gpus, **node.resources, HEAD_RESOURCE: 1}


def _room(cluster: ClusterConfig) -> Iterator[str]:
    """What Ray could never place would stay DEPLOYING for ever."""
    asked: dict[str, float] = {}
    for name, deployment in deployments(cluster).items():
        count = replicas(cluster, name)
        for resource, amount in {
            "CPU": deployment.cpus,
            "GPU": deployment.gpus,
            **deployment.resources,
        }.items():
            asked[resource] = asked.get(resource, 0) + count * amount
    there: dict[str, float] = {}
    for node in cluster.nodes.values():
        for resource, amount in {"CPU": node_cpus(node), "GPU": node.gpus, **node.resources}.items():
            there[resource] = there.get(resource, 0) + amount
    there[HEAD_RESOURCE] = 1
    for resource, amount in asked.items():
        if amount > there.get(resource, 0) + 1e-6:
            yield (
                f"cluster.deployments ask for {amount:g} {resource} in all and cluster.nodes have"
                f" {there.get(resource, 0):g}; {_more_of(cluster, resource, there)}."
            )


def _more_of(cluster: ClusterConfig, resource: str, there: Mapping[str, float]) -> str:
    """What to do about a resource of which the nodes have too little."""
    if resource in there or not cluster.nodes:
        return "lower replicas or what each takes, or raise the nodes'"
    return f"give it to a node, as in +cluster.nodes.{next(reversed(cluster.nodes))}.resources.{resource}=1"
