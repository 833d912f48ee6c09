"""``ray up``'s cluster on EC2, with the runtime's flags before each ``ray start``.

docs.ray.io, "Cluster YAML Configuration Options".
"""

from typing import Any

from vbench.cli.manifests.groups import Group, head_and_workers
from vbench.config.runtime_env import variables_of
from vbench.config.schema import Config
from vbench.errors import ConfigError
from vbench.ray_internals.node import GCS_PORT

REGION = "us-west-2"
"""The default; it has every instance type of ``cluster=aws``."""

NO_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0"}


def ray_up(config: Config) -> dict[str, Any]:
    """The whole file, as Ray's own ray-schema.json takes it; ConfigError for a node without an instance type,
    and for amounts of a resource that ``ray up`` cannot say."""
    if config.runtime.image is None:
        raise ConfigError(
            "runtime.image=null: ray up's nodes pull the image from a registry; push what the Dockerfile"
            " makes, and give its name there."
        )
    head, workers = head_and_workers(config.cluster)
    flags = variables_of(config.runtime) | NO_STATISTICS
    start = " ".join([f"{name}={value}" for name, value in flags.items()] + ["ray start"])
    return {
        "cluster_name": f"vbench-{config.runtime.name}",
        "max_workers": sum(group.count for group in workers),
        "provider": {"type": "aws", "region": config.cluster.region or REGION, "cache_stopped_nodes": False},
        "auth": {"ssh_user": "ubuntu"},
        "docker": {
            "image": config.runtime.image,
            "container_name": "vbench",
            "run_options": ["--ulimit nofile=65536:65536"],
        },
        "available_node_types": {
            head.name: _type(head, 0),
            **{group.name: _type(group, group.count) for group in workers},
        },
        "head_node_type": head.name,
        # The image has all; by default Ray would install boto3 there once more.
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [
            "ray stop",
            f"{start} --head --port={GCS_PORT} --dashboard-host=127.0.0.1"
            " --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": ["ray stop", f"{start} --address=$RAY_HEAD_IP:{GCS_PORT}"],
    }


def _type(group: Group, count: int) -> dict[str, Any]:
    if group.node.instance is None:
        raise ConfigError(
            f"cluster.nodes of {group.name} have no instance type: give cluster.nodes.*.instance, or"
            " cluster=aws."
        )
    uneven = {name: amount for name, amount in group.node.resources.items() if amount != int(amount)}
    if uneven:
        raise ConfigError(f"cluster.nodes of {group.name} have {uneven}: ray up takes whole numbers alone.")
    resources = {"CPU": group.cpus, "GPU": group.node.gpus}
    resources |= {name: int(amount) for name, amount in group.node.resources.items()}
    return {
        "resources": resources,
        "node_config": {"InstanceType": group.node.instance},
        "min_workers": count,
        "max_workers": count,
    }
