"""Sizes the graph to the CPUs that it runs on, if the configuration leaves that open."""

import math
import os

from vbench.config.schema import ClusterConfig, NodeConfig
from vbench.linux.cgroups import cpu_quota
from vbench.pipeline.settings import DeploymentSettings

CPUS_PER_MODEL = 4
"""One replica of the model keeps up with four decoders of 720p at 1 frame/s: in the main job on 2 cores a
sampled frame costs 36 ms to decode, the pictures that it is predicted from included, and 9 ms to infer."""


def deployments(cluster: ClusterConfig) -> dict[str, DeploymentSettings]:
    """The four deployments by the name of their field."""
    parts = cluster.deployments
    return {
        "api": parts.api,
        "service": parts.service,
        "decoder": parts.decoder,
        "inference": parts.inference,
    }


def machine_cpus() -> int:
    """Whole cores that this process may use, one at least: the fewer of its affinity and its control groups'
    quota (cgroup v1 and v2)."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def node_cpus(node: NodeConfig) -> int:
    """CPUs that Ray is told of: as configured, or those that are usable here."""
    return node.cpus if node.cpus is not None else machine_cpus()


def node_resources(node: NodeConfig) -> dict[str, float]:
    """Resources of Ray that a node has, by name, without those that Ray adds itself."""
    return {"CPU": node_cpus(node), "GPU": node.gpus, **node.resources}


def replicas(cluster: ClusterConfig, name: str) -> int:
    """Replicas of a deployment: as configured, or as many as the cluster's CPUs allow.

    Models get one replica for each ``CPUS_PER_MODEL`` CPUs, at least one; decoders what is left.
    """
    parts = deployments(cluster)
    given = parts[name].replicas
    if given is not None:
        return given
    cpus = sum(node_cpus(node) for node in cluster.nodes.values())
    models = parts["inference"].replicas or max(1, round(cpus / CPUS_PER_MODEL))
    if name == "inference":
        return models
    if name == "decoder":
        left = cpus - models * parts["inference"].cpus
        return max(1, int(left / parts["decoder"].cpus)) if parts["decoder"].cpus else 1
    return 1
