"""``cluster=local``: one Ray node on this machine, on loopback alone, gone without a trace at the end."""

import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from vbench.clusters.base import Progress, RunningCluster
from vbench.clusters.guard import Guarded, guarded
from vbench.errors import InputError, TrialError
from vbench.ports import free_ports
from vbench.runtimes import apply
from vbench.schema import ClusterConfig
from vbench.sizing import node_cpus

LOOPBACK = "127.0.0.2"
"""Not 127.0.0.1, which Ray replaces by the machine's outer address wherever it meets it."""

RAY_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Set for every Ray process of a trial; none of it touches the data path."""


def auth_env() -> dict[str, str]:
    """A token of this cluster's own: no other user of the machine can run code in it, and no process of
    ours can end up in somebody else's cluster. Ray 2.60 turns tokens on by itself where a token file lies
    in the home folder, so saying nothing would leave it to chance."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


POLL_S = 0.05

LONGEST_TEMP = 28
"""A socket's path may have 107 signs; Ray adds a session's name of 46 and ``/sockets/plasma_store``."""


def check(config: ClusterConfig) -> None:
    """InputError where the machine has too little memory for the object store; starts nothing."""
    ((name, node),) = config.nodes.items()
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
def start(
    config: ClusterConfig, connections: int | None, log: Path, progress: Progress
) -> Iterator[RunningCluster]:
    """A Ray head with the runtime's flags in its environment; ended, whatever happens, on leaving.

    ``log`` gets what Ray prints. Raises TrialError where Ray does not come up within
    ``config.start_timeout_s``.
    """
    (node,) = config.nodes.values()
    env = apply(inherited(), connections) | RAY_ENV | auth_env()
    folder = _temp_root() / f"vb-{secrets.token_hex(4)}"
    port, client_port, agent_port = free_ports(LOOPBACK, 3)
    command = [
        str(Path(sys.executable).with_name("ray")),
        *("start", "--head", "--block", f"--node-ip-address={LOOPBACK}", f"--port={port}"),
        f"--num-cpus={node_cpus(node)}",
        f"--num-gpus={node.gpus}",
        f"--resources={json.dumps(node.resources)}",
        f"--object-store-memory={node.object_store_mb * 10**6}",
        f"--temp-dir={folder}",
        # Without it Ray takes a slow disk, silently, where /dev/shm is too small.
        "--plasma-directory=/dev/shm",
        *("--include-dashboard=false", "--include-log-monitor=false", "--disable-usage-stats"),
        f"--ray-client-server-port={client_port}",
        f"--dashboard-agent-listen-port={agent_port}",
    ]
    progress("starting Ray")
    with (
        log.open("wb") as output,
        guarded(command, env=env, folders=[folder], stdout=output, stderr=output) as ray,
    ):
        _wait(ray, folder, port, config.start_timeout_s, log)
        yield RunningCluster(
            address=f"{LOOPBACK}:{port}",
            temp_dir=str(folder),
            load_env=env,
            exit_status=ray.exit_status,
            node_names=tuple(config.nodes),
        )


def _temp_root() -> Path:
    """Where temp files go, unless that makes the paths of Ray's sockets longer than the kernel takes."""
    root = Path(tempfile.gettempdir())
    return root if len(str(root)) <= LONGEST_TEMP else Path("/tmp")


def inherited() -> dict[str, str]:
    """This process's environment without another cluster's address or settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name in KEPT}


KEPT = frozenset({"RAY_BACKEND_LOG_LEVEL"})
"""Ray's own variables that a user may set for all trials."""


def _wait(ray: Guarded, folder: Path, port: int, timeout_s: float, log: Path) -> None:
    """Until the control store takes connections and the raylet answers on its socket."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (status := ray.exit_status()) is not None:
            raise TrialError(f"Ray ended with status {status} instead of starting: {_reason(log)}")
        if _listens(socket.AF_INET, (LOOPBACK, port)) and _listens(
            socket.AF_UNIX, str(folder / "session_latest" / "sockets" / "raylet")
        ):
            return
        time.sleep(POLL_S)
    raise TrialError(f"Ray was not up within cluster.start_timeout_s={timeout_s:g}; raise it, or see {log}.")


def _listens(family: socket.AddressFamily, address: tuple[str, int] | str) -> bool:
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0


def _reason(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else f"see {log}")
