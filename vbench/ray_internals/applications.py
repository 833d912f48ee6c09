"""The deployments of an application of Serve that is not deployed yet, with what each replica needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentNeeds:
    """What one deployment takes up on a cluster."""

    name: str
    replicas: int
    """At the start, if it is scaled automatically."""
    bundles: tuple[Mapping[str, float], ...]
    """For each replica: resources by name, each of which must be on one node."""


SIZES = ("num_replicas", "autoscaling_config", "ray_actor_options", "placement_group_bundles")
"""Options of a deployment that say how much it needs."""


def deployment_needs(
    application: Any, name: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> list[DeploymentNeeds]:
    """Of all deployments of an application (``serve.Application``) that is to be named ``name``.

    ``overrides``: deployment -> its options in a config file. Whatever Serve raises for an application that
    cannot be deployed.
    """
    from ray.serve._private.build_app import build_app

    needs = []
    for deployment in build_app(application, name=name).deployments:
        given = (overrides or {}).get(deployment.name, {})
        sizes = {size: given[size] for size in SIZES if size in given}
        needs.append(_needs(deployment.options(**sizes) if sizes else deployment))
    return needs


def _needs(deployment: Any) -> DeploymentNeeds:
    scaling = deployment._deployment_config.autoscaling_config
    replica = deployment._replica_config
    replicas = deployment.num_replicas
    if scaling is not None:
        replicas = scaling.min_replicas if scaling.initial_replicas is None else scaling.initial_replicas
    bundles = replica.placement_group_bundles or [replica.resource_dict]
    return DeploymentNeeds(name=deployment.name, replicas=replicas, bundles=tuple(map(dict, bundles)))
