"""The hosts of a cluster that is configured in short: groups of equal nodes, and a default placement."""

from collections.abc import Iterator
from dataclasses import replace

from vbench.config.schema import ClusterConfig, DeploymentsConfig, NodeConfig
from vbench.config.sizing import node_cpus
from vbench.config.transfer import transfer_endpoints
from vbench.pipeline.settings import DeploymentSettings
from vbench.ray_internals.node import HEAD_RESOURCE, LEAST_RESOURCE

MOST_NODES = 1000
"""Far above what any machine emulates; a typing error is found before nodes are made of it."""

MOST_SERVICES = 2
"""Replicas of the service by default, as in the published cluster."""

PLACED = "emulated"
"""The kind of cluster whose deployments are placed if the configuration leaves that open."""


def shape_problems(cluster: ClusterConfig) -> Iterator[str]:
    """One sentence for each group of nodes that cannot be expanded."""
    taken = {name for name, node in cluster.nodes.items() if node.count is None}
    for number, (name, node) in enumerate(cluster.nodes.items()):
        key = f"cluster.nodes.{name}.count={node.count}"
        if node.count is None:
            continue
        if node.count < 1:
            yield f"{key} must be 1 or more, or null for one node named {name}."
        elif node.count > MOST_NODES:
            yield f"{key} is more than the {MOST_NODES} nodes that a cluster can have: lower it."
        elif number == 0:
            yield f"{key}: the first node is the head, and there is one head: leave count out."
        elif both := next((member for member in members(name, node.count) if member in taken), None):
            yield f"{key} makes a node {both}, and there is one of that name: rename one of them."
        else:
            taken.update(members(name, node.count))


def members(name: str, count: int) -> list[str]:
    """Names of the nodes of a group: ``worker1`` to ``worker4``."""
    return [f"{name}{number}" for number in range(1, count + 1)]


def shaped(cluster: ClusterConfig) -> ClusterConfig:
    """The cluster with each of its nodes written out; ``cluster`` has no ``shape_problems``.

    On an emulated cluster whose configuration places no deployment, decoder and model get nodes of their own,
    as objects of ``load=transfer`` do.
    """
    nodes: dict[str, NodeConfig] = {}
    for name, node in cluster.nodes.items():
        names = [name] if node.count is None else members(name, node.count)
        nodes |= {each: replace(node, count=None, resources=dict(node.resources)) for each in names}
    whole = replace(cluster, nodes=nodes)
    is_open = cluster.deployments == DeploymentsConfig() and not any(
        node.resources for node in nodes.values()
    )
    return _placed(whole) if cluster.name == PLACED and is_open and len(nodes) > 1 else whole


def _placed(cluster: ClusterConfig) -> ClusterConfig:
    """The API on the head, the model on the receiver of transfers, the decoder on their sender, the service
    on the nodes between them."""
    sender, receiver = transfer_endpoints(cluster)
    workers = list(cluster.nodes)[1:]
    between = [name for name in workers if name not in (sender, receiver)] or [sender]
    of_stage = {"decode_only": [sender], "infer_only": [receiver], "chunk_only": between}
    resources = {
        name: {resource: 1.0 for resource, names in of_stage.items() if name in names}
        for name in cluster.nodes
    }
    return replace(
        cluster,
        nodes={name: replace(node, resources=resources[name]) for name, node in cluster.nodes.items()},
        deployments=DeploymentsConfig(
            api=DeploymentSettings(resources={HEAD_RESOURCE: LEAST_RESOURCE}),
            service=DeploymentSettings(
                replicas=min(MOST_SERVICES, len(between)),
                max_replicas_per_node=1,
                max_ongoing_requests=8,
                resources={"chunk_only": LEAST_RESOURCE},
            ),
            decoder=DeploymentSettings(
                replicas=max(1, node_cpus(cluster.nodes[sender])),
                cpus=min(1, node_cpus(cluster.nodes[sender])),
                resources={"decode_only": LEAST_RESOURCE},
            ),
            inference=DeploymentSettings(
                cpus=min(1, node_cpus(cluster.nodes[receiver])), resources={"infer_only": LEAST_RESOURCE}
            ),
        ),
    )
