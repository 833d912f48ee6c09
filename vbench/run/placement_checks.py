"""Checks of nodes and deployments: their values, and whether every replica finds a place."""

import math
from collections.abc import Iterator, Mapping

from vbench.clusters.attached.validate import is_discovered
from vbench.config.schema import ClusterConfig, Config, NodeConfig
from vbench.config.sizing import deployments, node_resources, replicas
from vbench.errors import nearest
from vbench.pipeline.settings import DeploymentSettings
from vbench.ray_internals.node import HEAD_RESOURCE, LEAST_RESOURCE, MOST_RESOURCE, SMALLEST_OBJECT_STORE_MB

RAYS_OWN = {
    "CPU": "give cpus instead",
    "GPU": "give gpus instead",
    "memory": "leave it out",
    "object_store_memory": "leave it out; a node's is object_store_mb",
}
"""Resources that Ray defines itself, and what to give instead."""


def node_problems(config: Config) -> Iterator[str]:
    """One sentence for each value of a node or a deployment that Ray would refuse."""
    yield from _nodes(config)
    yield from _unknown_nodes(config)
    for name, deployment in deployments(config.cluster).items():
        yield from _deployment(f"cluster.deployments.{name}", deployment)


def placement_problems(cluster: ClusterConfig) -> Iterator[str]:
    """One sentence for each deployment or resource for which the nodes have no room."""
    yield from _places(cluster) or list(_too_many(cluster)) or _room(cluster)


def _nodes(config: Config) -> Iterator[str]:
    if config.cluster.name != "local" and config.cluster.private_network is not None:
        given = str(config.cluster.private_network).lower()
        yield f"cluster.private_network={given} is for cluster=local: leave it out."
    if not config.cluster.nodes and not is_discovered(config.cluster):
        yield (
            f"cluster={config.cluster.name} needs at least one node, but cluster.nodes is empty: leave out"
            f" what deletes them, such as ~cluster.nodes.head."
        )
    elif config.cluster.name == "local" and len(config.cluster.nodes) > 1:
        head, *others = config.cluster.nodes
        yield (
            f"cluster=local has one node, but cluster.nodes names {len(others) + 1} ({head},"
            f" {', '.join(others)}): leave out {' and '.join(others)}, or choose cluster=emulated."
        )
    for name, node in config.cluster.nodes.items():
        key = f"cluster.nodes.{name}"
        if node.cpus is not None and node.cpus < 0:
            yield f"{key}.cpus={node.cpus} must be 0 or more, or null for all usable cores."
        if node.gpus < 0:
            yield f"{key}.gpus={node.gpus} must be 0 or more."
        if node.object_store_mb < SMALLEST_OBJECT_STORE_MB:
            yield (
                f"{key}.object_store_mb={node.object_store_mb} is too little: Ray needs at"
                f" least {SMALLEST_OBJECT_STORE_MB} MB."
            )
        yield from _resources(f"{key}.resources", node.resources)
        for resource, amount in node.resources.items():
            if resource.startswith("node:"):
                yield f"{key}.resources.{resource}: Ray gives each node its node:... itself; leave it out."
            elif not (amount <= 0 or (float(amount).is_integer() and amount <= MOST_RESOURCE)):
                yield (
                    f"{key}.resources.{resource}={amount:g} must be a whole number of at most"
                    f" {MOST_RESOURCE:g}: Ray accepts no other on a node."
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
            yield f"{key}.{name}={amount:g}: {name} is not a custom resource; {RAYS_OWN[name]}."
        if not (math.isfinite(amount) and amount >= LEAST_RESOURCE):
            yield f"{key}.{name}={amount} must be {LEAST_RESOURCE:.4f} or more."


def _places(cluster: ClusterConfig) -> list[str]:
    """Deployments with a bound on replicas per node, and too few nodes for all of their replicas."""
    problems = []
    for name, deployment in deployments(cluster).items():
        most, wanted = deployment.max_replicas_per_node, replicas(cluster, name)
        if most is None:
            continue
        nodes = sum(_has_room(node, deployment) for node in _candidates(cluster, deployment))
        if nodes and wanted > most * nodes:
            key = f"cluster.deployments.{name}"
            problems.append(
                f"{key} has {wanted} replicas and at most {most} per node (max_replicas_per_node), but the"
                f" nodes with room for one are {nodes}: give {key}.replicas={most * nodes}, or add nodes."
            )
    return problems


def _unknown_nodes(config: Config) -> Iterator[str]:
    """Nodes that a deployment names and the cluster does not have."""
    cluster = config.cluster
    for name, deployment in deployments(cluster).items():
        key = f"cluster.deployments.{name}.nodes"
        for node in deployment.nodes:
            if node not in cluster.nodes and not is_discovered(cluster):
                yield f"{key}: there is no node {node}; {nearest(node, cluster.nodes)}."


def _candidates(cluster: ClusterConfig, deployment: DeploymentSettings) -> list[NodeConfig]:
    """The nodes that a deployment may use."""
    return [cluster.nodes[name] for name in deployment.nodes or cluster.nodes]


def _too_many(cluster: ClusterConfig) -> Iterator[str]:
    """Deployments with more replicas than find room on the nodes that they name."""
    for name, deployment in deployments(cluster).items():
        if not deployment.nodes:
            continue
        room = sum(
            min(
                math.floor(node_resources(node).get(resource, 0) / amount + 1e-6)
                for resource, amount in deployment.needs.items()
                if amount
            )
            for node in _candidates(cluster, deployment)
            if any(deployment.needs.values())
        )
        if any(deployment.needs.values()) and replicas(cluster, name) > room:
            key = f"cluster.deployments.{name}"
            yield (
                f"{key} has {replicas(cluster, name)} replicas, and its nodes"
                f" ({', '.join(deployment.nodes)}) have room for {room}: lower {key}.replicas, or name"
                f" more nodes in {key}.nodes."
            )


def _has_room(node: NodeConfig, deployment: DeploymentSettings) -> bool:
    """Whether a node could hold one replica; any node may be the head."""
    there = {**node_resources(node), HEAD_RESOURCE: 1}
    return all(there.get(resource, 0) + 1e-6 >= amount for resource, amount in deployment.needs.items())


def _room(cluster: ClusterConfig) -> Iterator[str]:
    """Resources of which the deployments need more than the nodes have: Ray would wait for them for ever."""
    needed: dict[str, float] = {}
    for name, deployment in deployments(cluster).items():
        count = replicas(cluster, name)
        for resource, amount in deployment.needs.items():
            needed[resource] = needed.get(resource, 0) + count * amount
    there: dict[str, float] = {}
    for node in cluster.nodes.values():
        for resource, amount in node_resources(node).items():
            there[resource] = there.get(resource, 0) + amount
    there[HEAD_RESOURCE] = 1
    for resource, amount in needed.items():
        if amount > there.get(resource, 0) + 1e-6:
            yield (
                f"cluster.deployments need {amount:g} {resource} in total, and cluster.nodes have"
                f" {there.get(resource, 0):g}; {_remedy(cluster, resource, there)}."
            )


def _remedy(cluster: ClusterConfig, resource: str, there: Mapping[str, float]) -> str:
    """The remedy for a resource of which the nodes have too little."""
    if resource in there or not cluster.nodes:
        return "lower the replicas or what each takes, or raise what the nodes have"
    return f"give it to a node, as in +cluster.nodes.{next(reversed(cluster.nodes))}.resources.{resource}=1"
