"""``python -m vbench.clusters.emulated.keeper NAME``: owns an emulated cluster that is no trial's.

    vbench cluster up -- keeper -- guard -- launcher -- init (PID 1) -- hosts
                            `-- port forward to the dashboard

Its standard input gets the configuration, a JSON line, and is its lifeline until the line ``release``: if the
command ends before that, the keeper ends the cluster. Released, it stays until SIGTERM. If the keeper is
killed, its guard ends the rest; if the guard is killed, the keeper does. Progress goes to standard output,
one JSON line per event: ``progress``, ``ready`` or ``failed``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vbench.clusters.base import RunningCluster
from vbench.clusters.emulated import pid_namespace, state
from vbench.clusters.emulated.cluster import Standalone, start
from vbench.clusters.ray_node import temp_folder
from vbench.config.runtime_env import expected_connections, variables_of
from vbench.config.schema import Config, RuntimeConfig, from_plain
from vbench.config.sizing import node_cpus
from vbench.errors import InputError, TrialError, VbenchError, first_line
from vbench.linux.port_forward import COMMAND as PORT_FORWARD

RELEASE = b"release\n"

LOOPBACK = "127.0.0.1"

RAY_LOG = "ray.log"
KEEPER_LOG = "keeper.log"


def emit(**event: Any) -> None:
    """Report an event to the command."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The keeper; its exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        keep(arguments[0], from_plain(json.loads(_input_line())))
    except VbenchError as error:
        emit(event="failed", message=str(error), bad_input=isinstance(error, InputError))
        return error.exit_status
    except Exception as error:  # whatever it is, the command says it
        with suppress(OSError):
            emit(event="failed", message=f"{type(error).__name__}: {first_line(error)}", bad_input=False)
        raise
    return 0


def _end(*_: object) -> None:
    """Leave all blocks, undisturbed: ending takes seconds, and has deadlines."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def keep(name: str, config: Config) -> None:
    """Start the cluster, write its state, and stay until it ends or this process is told to end it.

    ``config.cluster.dashboard_port`` is set. InputError if a cluster of that name is there; TrialError if
    this one cannot be started.
    """
    began_s = time.monotonic()
    logs = Path(config.outputs).resolve() / "clusters" / name
    with state.claimed(name) as (folder, lock):
        _watch_lifeline()
        logs.mkdir(parents=True, exist_ok=True)
        _redirect_errors(logs / KEEPER_LOG)
        temp_dir = temp_folder(config.runtime)
        starting = state.ClusterState(
            name=name,
            keeper=os.getpid(),
            started_unix_s=time.time(),
            temp_dir=str(temp_dir),
            log=str(logs / RAY_LOG),
            runtime=_runtime_text(config.runtime),
            scale=config.cluster.scale,
        )
        state.write(folder, starting)
        standalone = Standalone(temp_dir=temp_dir, state_folder=folder, lock=lock)
        with (
            start(config, logs / RAY_LOG, _progress, standalone) as cluster,
            _dashboard(cluster, config) as dashboard,
        ):
            ready = _ready(starting, config, cluster, dashboard, time.monotonic() - began_s)
            state.write(folder, ready)
            emit(event="ready", state=asdict(ready))
            while cluster.exit_status() is None:
                pass  # it waits


def _runtime_text(runtime: RuntimeConfig) -> str:
    return f"{runtime.name} ({expected_connections(variables_of(runtime))} connections)"


def _input_line() -> bytes:
    """The next line of standard input; without Python's buffer, whose lock a waiting thread would hold while
    the process ends."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 1)):
        line += more
    return line


def _watch_lifeline() -> None:
    """End this process when its standard input does, unless that says before that the command is done."""

    def watch() -> None:
        if _input_line() != RELEASE:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        # Nobody reads it any more.
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nowhere.fileno(), 1)

    threading.Thread(target=watch, daemon=True).start()


def _redirect_errors(log: Path) -> None:
    """Standard error goes to a file: the command's own ends with the command."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)


def _progress(name: str, done: int = 0, total: int = 0, note: str = "") -> None:
    emit(event="progress", phase=name, done=done, total=total, note=note)


@contextmanager
def _dashboard(cluster: RunningCluster, config: Config) -> Iterator[str]:
    """Forward a port of this machine's loopback to the dashboard on the head; its URL here."""
    head, port = cluster.nodes[0].ip, str(config.cluster.dashboard_port)
    with socket.create_server((LOOPBACK, 0)) as listening:
        forward = (*cluster.enter, *PORT_FORWARD, str(listening.fileno()), head, port)
        with subprocess.Popen(
            forward, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as forwarding:
            try:
                yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
            finally:
                forwarding.kill()


def _ready(
    starting: state.ClusterState, config: Config, cluster: RunningCluster, dashboard: str, took_s: float
) -> state.ClusterState:
    assert cluster.network is not None, "an emulated cluster has a network"
    nodes, links = config.cluster.nodes, {link.node: link for link in cluster.network.links}
    host_dashboard = f"http://{cluster.nodes[0].ip}:{config.cluster.dashboard_port}"
    added = {
        name: value
        for name, value in cluster.load_env.items()
        if name.startswith("RAY_") or os.environ.get(name) != value
    }
    return replace(
        starting,
        is_ready=True,
        took_s=took_s,
        address=cluster.address,
        dashboard=dashboard,
        host_dashboard=host_dashboard,
        env=added | {"RAY_ADDRESS": cluster.address, "RAY_API_SERVER_ADDRESS": host_dashboard},
        hosts=tuple(
            state.HostState(
                name=node.name,
                ip=node.ip,
                pid=_leader(node.name, cluster.host_pids[node.name]),
                cpus=node_cpus(nodes[node.name]),
                object_store_mb=nodes[node.name].object_store_mb,
                nic_mbps=links[node.name].nic_mbps,
                flow_mbps=links[node.name].flow_mbps,
            )
            for node in cluster.nodes
        ),
    )


def _leader(name: str, host_pid: int) -> int:
    found = pid_namespace.leader(host_pid)
    if found is None:
        raise TrialError(f"Ray on host {name} exited")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
