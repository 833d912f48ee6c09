"""KubeRay's RayCluster, with the runtime's flags on every node, and RayService, with the graph on it too.

docs.ray.io, "RayCluster" and "RayService"; the custom resources are of group ``ray.io``, version ``v1``.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from vbench.cli.manifests.groups import Group, head_and_workers
from vbench.cli.manifests.image import image_of
from vbench.cli.manifests.serve import SERVE_PORT, serve_config
from vbench.cli.manifests.yaml_text import as_yaml
from vbench.config.runtime_env import variables_of
from vbench.config.schema import Config
from vbench.load.pipeline_args import pipeline_args
from vbench.pipeline import front
from vbench.ray_internals.node import AGENT_PORT, GCS_HEALTH_PATH, GCS_PORT, RAYLET_HEALTH_PATH

HEAD_PORTS = {"gcs": GCS_PORT, "dashboard": 8265, "client": 10001, "serve": SERVE_PORT}
USER_ID = 1000
"""``ray`` in the image."""


def ray_service(config: Config) -> dict[str, Any]:
    """The whole resource; ConfigError if the graph refuses a value.

    Serve's one proxy, on the head, refuses requests for which the API would have no room.
    """
    proxy = front.environment(pipeline_args(config).places)
    return _resource(
        config,
        "RayService",
        {
            "serveConfigV2": as_yaml(serve_config(config, host="0.0.0.0")),
            "rayClusterConfig": _cluster(config, head_env=proxy),
        },
    )


def ray_cluster(config: Config) -> dict[str, Any]:
    """Only the cluster, for trials that deploy the graph themselves (``cluster=attached``)."""
    return _resource(config, "RayCluster", _cluster(config, head_env={}))


def _resource(config: Config, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": f"vbench-{config.runtime.name}", "labels": _labels(config)},
        "spec": spec,
    }


def _cluster(config: Config, head_env: Mapping[str, str]) -> dict[str, Any]:
    head, workers = head_and_workers(config.cluster)
    return {
        "rayVersion": version("ray"),
        # Its dashboard listens beyond the pod, and whoever reaches that can run code: KubeRay 1.5.1 and later
        # makes a token and gives it to every container. The health checks below need none.
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": _start(head) | {"dashboard-host": "0.0.0.0"},
            "template": _template(config, head, head_env, is_head=True),
        },
        "workerGroupSpecs": [
            {
                "groupName": group.name,
                "replicas": group.count,
                "minReplicas": group.count,
                "maxReplicas": group.count,
                "rayStartParams": _start(group),
                "template": _template(config, group, {}, is_head=False),
            }
            for group in workers
        ],
    }


def _labels(config: Config) -> dict[str, str]:
    return {"app.kubernetes.io/name": "vbench", "vbench/runtime": config.runtime.name}


def _start(group: Group) -> dict[str, str]:
    """Parameters of ``ray start``."""
    given = {
        "num-cpus": str(group.cpus),
        "object-store-memory": str(group.node.object_store_mb * 10**6),
    }
    if group.node.gpus:
        given["num-gpus"] = str(group.node.gpus)
    if group.node.resources:
        # KubeRay writes it into a shell's command, hence the quotes within quotes.
        given["resources"] = json.dumps(json.dumps(group.node.resources))
    return given


def _template(config: Config, group: Group, more: Mapping[str, str], *, is_head: bool) -> dict[str, Any]:
    """The pod of a group. Each raylet reads flags from its environment, so every container has them, and
    ``more``."""
    env = variables_of(config.runtime) | {"RAY_USAGE_STATS_ENABLED": "0"} | dict(more)
    spec: dict[str, Any] = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "ray-head" if is_head else "ray-worker",
                "image": image_of(config),
                "env": [{"name": name, "value": value} for name, value in env.items()],
                "resources": _resources(group),
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],
                **_probes(is_head=is_head),
                **({"ports": _ports(config)} if is_head else {}),
            }
        ],
        "volumes": [
            {
                "name": "shared-memory",
                "emptyDir": {"medium": "Memory", "sizeLimit": f"{group.node.object_store_mb + 512}M"},
            }
        ],
    }
    if group.node.instance:
        spec["nodeSelector"] = {"node.kubernetes.io/instance-type": group.node.instance}
    return {"metadata": {"labels": _labels(config)}, "spec": spec}


def _ports(config: Config) -> list[dict[str, Any]]:
    ports = HEAD_PORTS | {"serve": config.cluster.http_port or SERVE_PORT}
    return [{"name": name, "containerPort": port} for name, port in ports.items()]


def _resources(group: Group) -> dict[str, Any]:
    """Requests equal limits: a pod that shares its CPUs measures its neighbours."""
    asked: dict[str, Any] = {"cpu": str(max(1, (group.node.vcpus or group.cpus) - 1))}
    if group.node.memory_mb:
        # Kubernetes and its daemons take some of the machine's memory, and a CPU.
        asked["memory"] = f"{round(0.9 * group.node.memory_mb)}Mi"
    if group.node.gpus:
        asked["nvidia.com/gpu"] = str(group.node.gpus)
    return {"requests": asked, "limits": asked}


def _probes(*, is_head: bool) -> dict[str, Any]:
    """Whether the raylet lives, and on the head the control store too."""
    raylet = {"path": RAYLET_HEALTH_PATH, "port": AGENT_PORT}
    gcs = {"path": GCS_HEALTH_PATH, "port": HEAD_PORTS["dashboard"]}
    often = {"periodSeconds": 5, "timeoutSeconds": 2}
    return {
        "startupProbe": {"httpGet": raylet, **often, "failureThreshold": 60},
        "readinessProbe": {"httpGet": gcs if is_head else raylet, **often, "failureThreshold": 3},
        "livenessProbe": {"httpGet": raylet, **often, "failureThreshold": 12},
    }
