"""``cluster=local``: one Ray node on this machine, on loopback alone, gone without a trace at the end."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from vbench.clusters.base import Progress, RunningCluster
from vbench.clusters.guard import Guarded, guarded
from vbench.clusters.ray_node import (
    environment,
    listens,
    raylet_socket,
    reason,
    start_command,
    temp_folder,
)
from vbench.errors import InputError, TrialError
from vbench.load.job import NodePlace
from vbench.ports import free_ports, port_is_free, taken
from vbench.schema import Config

LOOPBACK = "127.0.0.2"
"""Not 127.0.0.1, which Ray replaces by the machine's outer address wherever it meets it."""

SERVICE_HOST = "127.0.0.1"
"""Where Serve's proxy listens."""

POLL_S = 0.05


def check(config: Config) -> None:
    """InputError if the object store does not fit into memory, or the service's port is taken; starts
    nothing."""
    port = config.cluster.http_port
    if port and not port_is_free(SERVICE_HOST, port):
        raise InputError(taken(SERVICE_HOST, port))
    ((name, node),) = config.cluster.nodes.items()
    key = f"cluster.nodes.{name}.object_store_mb={node.object_store_mb}"
    shm_mb = shutil.disk_usage("/dev/shm").free // 10**6
    free_mb = psutil.virtual_memory().available // 10**6
    where, most_mb = min(("/dev/shm", shm_mb), ("memory", free_mb), key=lambda item: item[1])
    if node.object_store_mb > most_mb * 0.9:
        raise InputError(
            f"{key} does not fit: {where} has {most_mb} MB free, of which a tenth is kept;"
            f" give {int(most_mb * 0.9)} or less."
        )


@contextmanager
def start(config: Config, log: Path, progress: Progress) -> Iterator[RunningCluster]:
    """A Ray head with the runtime's flags in its environment; ended, whatever happens, on leaving.

    ``log`` gets what Ray prints. Raises TrialError where Ray does not come up within
    ``cluster.start_timeout_s``.
    """
    ((name, node),) = config.cluster.nodes.items()
    env = environment(config.runtime.connections)
    folder = temp_folder()
    names = ("port", "ray-client-server-port", "dashboard-agent-listen-port")
    ports = dict(zip(names, free_ports(LOOPBACK, len(names)), strict=True))
    command = start_command(node, ip=LOOPBACK, folder=folder, head=None, ports=ports)
    progress("starting Ray")
    with (
        log.open("wb") as output,
        guarded(command, env=env, folders=[folder], stdout=output, stderr=output) as ray,
    ):
        _wait(ray, folder, ports["port"], config.cluster.start_timeout_s, log)
        yield RunningCluster(
            address=f"{LOOPBACK}:{ports['port']}",
            temp_dir=str(folder),
            load_env=env,
            exit_status=ray.exit_status,
            nodes=(NodePlace(name=name, ip=LOOPBACK),),
        )


def _wait(ray: Guarded, folder: Path, port: int, timeout_s: float, log: Path) -> None:
    """Until the control store takes connections and the raylet answers on its socket."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (status := ray.exit_status()) is not None:
            raise TrialError(f"Ray ended with status {status} instead of starting: {reason(log)}")
        if listens(socket.AF_INET, (LOOPBACK, port)) and listens(socket.AF_UNIX, raylet_socket(folder)):
            return
        time.sleep(POLL_S)
    raise TrialError(f"Ray was not up within cluster.start_timeout_s={timeout_s:g}; raise it, or see {log}.")
