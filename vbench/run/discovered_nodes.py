"""Reads the nodes of attached clusters from Ray, and places the graph on them, before any trial starts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from vbench.clusters.attached.validate import is_discovered
from vbench.config.schema import ClusterConfig, Config, NodeConfig
from vbench.config.sizing import deployments, replicas
from vbench.config.workload import VIDEO, workload_of
from vbench.errors import ConfigError, InputError
from vbench.load.pipeline_args import pipeline_args
from vbench.run.compose import Arm, Composition
from vbench.run.placement_checks import node_problems
from vbench.run.validate import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredArm(Arm):
    """An arm whose nodes were read from Ray."""


def with_nodes(composition: Composition, before: Iterable[Config] = ()) -> Composition:
    """The same, with the nodes of every cluster that the configuration does not describe.

    The arms of a sweep have the same nodes if their clusters are alike: of each node the smallest object
    store counts. ``before``: configurations of trials of this sweep that are done.

    InputError if a cluster cannot be reached or is ambiguous, ConfigError if the graph has no room on it.
    """
    if not any(is_discovered(arm.config.cluster) for arm in composition.arms):
        return composition
    found = [_found(arm.config) if is_discovered(arm.config.cluster) else None for arm in composition.arms]
    stores = [nodes for nodes in found if nodes] + [config.cluster.nodes for config in before]
    arms = [
        arm if nodes is None else placed_on(arm, _with_common_stores(nodes, stores))
        for arm, nodes in zip(composition.arms, found, strict=True)
    ]
    return replace(composition, arms=arms)


def _found(config: Config) -> dict[str, NodeConfig]:
    from vbench.clusters.attached.cluster import address_of, living_nodes
    from vbench.clusters.attached.discovery import describe

    return describe(living_nodes(config), address_of(config))


def _with_common_stores(
    nodes: Mapping[str, NodeConfig], others: Iterable[Mapping[str, NodeConfig]]
) -> dict[str, NodeConfig]:
    """The nodes with the smallest store that a node of the same name has in a cluster that is alike."""
    alike = [other for other in others if _shape(other) == _shape(nodes)]
    return {
        name: replace(node, object_store_mb=min(other[name].object_store_mb for other in [nodes, *alike]))
        for name, node in nodes.items()
    }


def _shape(nodes: Mapping[str, NodeConfig]) -> str:
    return json.dumps({name: asdict(replace(node, object_store_mb=0)) for name, node in nodes.items()})


def placed_on(arm: Arm, nodes: dict[str, NodeConfig]) -> DiscoveredArm:
    """The arm on these nodes; InputError or ConfigError if what it deploys has no place there."""
    from vbench.clusters.attached.graph_placement import place

    keys = {line.lstrip("+").partition("=")[0] for line in arm.overrides}
    cluster = replace(arm.config.cluster, nodes=nodes)
    config = replace(arm.config, cluster=cluster)
    if wrong := list(node_problems(config)):
        raise ConfigError(" ".join(wrong))
    if workload_of(config) == VIDEO:
        config = replace(config, cluster=replace(cluster, deployments=place(config, keys)))
    if wrong := problems(config):
        raise ConfigError(" ".join(wrong))
    if workload_of(config) == VIDEO:
        pipeline_args(config)
    return DiscoveredArm(overrides=arm.overrides, config=config, composed=arm.composed, levels=arm.levels)


def check_unchanged(arm: Arm) -> None:
    """InputError if the cluster of a discovered arm is no longer the one that the sweep began with."""
    if not isinstance(arm, DiscoveredArm):
        return
    from vbench.clusters.attached.discovery import changes

    if differences := changes(arm.config.cluster.nodes, _found(arm.config)):
        raise InputError(
            f"the cluster has changed since the trials began ({'; '.join(differences)}), and trials on"
            f" different clusters cannot be compared: restore it and resume the sweep, or start a new one"
        )


def describe_placement(config: Config) -> str:
    """One line: the nodes, and what of the video service runs where."""
    cluster = config.cluster
    nodes = ", ".join(f"{name} ({_size(node)})" for name, node in cluster.nodes.items())
    if workload_of(config) != VIDEO:
        return f"nodes found: {nodes}"
    stages = [
        f"{replicas(cluster, name)} {name} on {', '.join(part.nodes or _anywhere(cluster))}"
        for name, part in deployments(cluster).items()
        if name != "api"
    ]
    return f"nodes found: {nodes}; placed: {'; '.join(stages)}"


def _size(node: NodeConfig) -> str:
    sizes = [f"{node.cpus} CPU", *([f"{node.gpus} GPU"] if node.gpus else []), *node.resources]
    return ", ".join(sizes)


def _anywhere(cluster: ClusterConfig) -> list[str]:
    return list(cluster.nodes) if len(cluster.nodes) == 1 else ["any node"]
