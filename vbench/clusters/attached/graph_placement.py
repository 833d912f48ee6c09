"""Sizes the graph to the nodes of a running cluster, as far as the configuration leaves that open."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from vbench.clusters.attached.roles import Roles, assign
from vbench.config.schema import Config, DeploymentsConfig, NodeConfig
from vbench.config.sizing import CPUS_PER_MODEL, deployments
from vbench.pipeline.settings import DeploymentSettings

OPEN = DeploymentSettings(replicas=None)
"""What a deployment is before anything is decided."""

CPUS_OF_LARGE_NODE = 8
"""On nodes of their own with as many CPUs, a decoder gets two, as in the published cluster."""

MOST_CPUS_PER_GPU = 8
"""Of a replica of the model on a GPU, as in the published cluster."""

ALONE_AT_ONCE, EACH_AT_ONCE = 16, 8
"""Requests in progress in a service that is the only one, and in each of several."""


def place(config: Config, given: Collection[str]) -> DeploymentsConfig:
    """The deployments of a configuration with its nodes, placed by role and sized to them.

    ``given``: keys that the command line sets, which stay as they are, as does whatever an option file has
    decided. InputError if the roles of the nodes do not say where a stage goes.
    """
    nodes, parts = config.cluster.nodes, deployments(config.cluster)
    on_gpu = config.model.device.startswith("cuda")
    placed = {name: part.nodes for name, part in parts.items() if part.nodes}
    roles = assign(nodes, on_gpu=on_gpu, given=placed)
    is_set = parts["decoder"].cpus or "cluster.deployments.decoder.cpus" in given
    each = parts["decoder"].cpus if is_set else None
    sizes = _sizes(nodes, roles, on_gpu=on_gpu, each=each)
    where = {"service": roles.service, "decoder": roles.decoder, "inference": roles.inference}

    def filled(name: str) -> DeploymentSettings:
        part, values = parts[name], dict(sizes[name])
        if not part.resources and len(nodes) > 1:
            values["nodes"] = list(where[name])
        is_open = {
            field: f"cluster.deployments.{name}.{field}" not in given
            and getattr(part, field) == getattr(OPEN, field)
            for field in values
        }
        return replace(part, **{field: value for field, value in values.items() if is_open[field]})

    return replace(
        config.cluster.deployments,
        service=filled("service"),
        decoder=filled("decoder"),
        inference=filled("inference"),
    )


def _sizes(
    nodes: Mapping[str, NodeConfig], roles: Roles, *, on_gpu: bool, each: float | None
) -> dict[str, dict[str, Any]]:
    """Stage -> field -> value; ``each``: CPUs of a decoder if they are set."""
    service_alone = not set(roles.service) & {*roles.decoder, *roles.inference}
    decoder_alone = not set(roles.decoder) & set(roles.inference)
    services = len(roles.service) if service_alone else min(2, len(roles.service))
    decoder_cpus = [nodes[name].cpus or 0 for name in roles.decoder]
    large = decoder_alone and min(decoder_cpus) >= CPUS_OF_LARGE_NODE
    if each is None:
        each = 2.0 if large else 1.0
    decoders = max(1, sum(int(cpus // each) if each else cpus for cpus in decoder_cpus))
    has_cpus = any(nodes[name].cpus for name in roles.service)
    return {
        "service": {
            "replicas": services,
            "cpus": float(service_alone and has_cpus),
            "max_replicas_per_node": 1 if services > 1 else None,
            "max_ongoing_requests": EACH_AT_ONCE if services > 1 else ALONE_AT_ONCE,
        },
        "decoder": {"replicas": decoders, "cpus": each},
        "inference": _of_model(nodes, roles, decoders, alone=decoder_alone, on_gpu=on_gpu),
    }


def _of_model(
    nodes: Mapping[str, NodeConfig], roles: Roles, decoders: int, *, alone: bool, on_gpu: bool
) -> dict[str, Any]:
    """One replica per GPU, else one for each ``CPUS_PER_MODEL`` decoders; it reserves no CPU on nodes that it
    shares with decoders, where decoding is the bottleneck."""
    own = [nodes[name] for name in roles.inference]
    cpus = [node.cpus or 0 for node in own]
    if on_gpu:
        per_gpu = min((node.cpus or 0) // node.gpus for node in own if node.gpus)
        return {
            "replicas": sum(node.gpus for node in own),
            "cpus": float(min(MOST_CPUS_PER_GPU, per_gpu) if alone else 0),
            "gpus": 1.0,
        }
    wanted = max(len(own), math.ceil(decoders / CPUS_PER_MODEL))
    if not alone or not any(cpus):
        return {"replicas": max(1, round(sum(cpus) / CPUS_PER_MODEL)), "cpus": 0.0}
    return {"replicas": max(1, min(sum(cpus), wanted)), "cpus": 1.0}
