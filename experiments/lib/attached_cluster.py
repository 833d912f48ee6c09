"""Starts an emulated cluster that trials use through its dashboard, like any attached cluster."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vbench.clusters.emulated import cluster as emulated
from vbench.linux.port_forward import COMMAND
from vbench.run.compose import compose_configs

SCALE = 150
"""``cluster.scale``, as in the study anyscale_vs_oss on two cores: they then move the bytes with time to
spare."""

FOREIGN_PERCENT = 25
"""``load.max_foreign_cpu_percent``: the clusters and the harness share one machine, so each is foreign to the
others, in every arm alike. On clusters with machines of their own the rule keeps its default."""

_DASHBOARD_PORT = 8265


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedCluster:
    """What a user knows of a running cluster."""

    url: str
    """Of its dashboard."""
    token: str
    """``RAY_AUTH_TOKEN``."""


def cluster_overrides() -> list[str]:
    """Overrides that describe the started nodes and deployments; the defaults of ``attached`` describe
    EC2."""
    (config,) = compose_configs(["cluster=emulated"], multirun=False)
    deployments = config.cluster.deployments
    return [
        *(
            f"cluster.nodes.{name}.{key}={getattr(node, key)}"
            for name, node in config.cluster.nodes.items()
            for key in ("cpus", "gpus", "object_store_mb")
        ),
        *(
            f"cluster.deployments.{name}.{key}={getattr(getattr(deployments, name), key)}"
            for name in ("decoder", "inference")
            for key in ("replicas", "cpus", "gpus")
        ),
    ]


@contextmanager
def start_cluster(runtime: str, log: Path) -> Iterator[AttachedCluster]:
    """An emulated cluster with a runtime's flags; a port of this machine is forwarded to its dashboard.

    Args:
        runtime: an option of the group ``runtime``.
        log: file for Ray's output.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where nodes find python
    (config,) = compose_configs(
        [
            *("cluster=emulated", f"cluster.scale={SCALE}", f"runtime={runtime}"),
            f"cluster.dashboard_port={_DASHBOARD_PORT}",
        ],
        multirun=False,
    )
    with (
        emulated.start(config, log, lambda *_, **__: None) as cluster,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        head, _, _ = cluster.address.partition(":")
        forward = (*COMMAND, str(listening.fileno()), head, str(_DASHBOARD_PORT))
        with subprocess.Popen((*cluster.enter, *forward), pass_fds=[listening.fileno()]) as forwarding:
            try:
                yield AttachedCluster(
                    url=f"http://127.0.0.1:{listening.getsockname()[1]}",
                    token=cluster.load_env["RAY_AUTH_TOKEN"],
                )
            finally:
                forwarding.terminate()
