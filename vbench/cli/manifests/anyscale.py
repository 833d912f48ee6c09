"""Anyscale's service, which brings the graph up, and the compute configuration of its cluster.

docs.anyscale.com, "ServiceConfig" and "ComputeConfig". Raylets read their flags before anything that a
service sets reaches a node, so these are in the image and nowhere else.
"""

from typing import Any

from vbench.cli.manifests.groups import Group, head_and_workers
from vbench.cli.manifests.image import image_of
from vbench.cli.manifests.serve import serve_config
from vbench.config.schema import Config


def compute_config(config: Config) -> dict[str, Any]:
    """The cluster alone, as ``anyscale.compute_config.models.ComputeConfig`` takes it."""
    head, workers = head_and_workers(config.cluster)
    return {
        "head_node": _node(head),
        "worker_nodes": [
            {"name": group.name, **_node(group), "min_nodes": group.count, "max_nodes": group.count}
            for group in workers
        ],
    }


def service_config(config: Config) -> dict[str, Any]:
    """As ``anyscale.service.models.ServiceConfig`` takes it; ConfigError if the graph refuses a value."""
    serve = serve_config(config)
    return {
        "name": f"vbench-{config.runtime.name}",
        "image_uri": image_of(config),
        "compute_config": compute_config(config),
        "applications": serve["applications"],
        "proxy_location": serve["proxy_location"],
        "http_options": {"request_timeout_s": serve["http_options"]["request_timeout_s"]},
        "tags": {"runtime": config.runtime.name},
    }


def _node(group: Group) -> dict[str, Any]:
    resources = {"CPU": group.cpus, **({"GPU": group.node.gpus} if group.node.gpus else {})}
    given: dict[str, Any] = {"resources": {**resources, **group.node.resources}}
    if group.node.instance:
        given["instance_type"] = group.node.instance
    return given
