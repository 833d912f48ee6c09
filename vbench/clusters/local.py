"""``cluster=local``: one Ray node on this machine, on loopback only, removed completely at the end."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from vbench.clusters import private_network
from vbench.clusters.base import NodeAddress, Progress, RunningCluster
from vbench.clusters.emulated.nsenter import ENTER
from vbench.clusters.installation import check_installation
from vbench.clusters.ray_node import (
    haproxy_environment,
    last_error,
    listens,
    node_environment,
    start_command,
    temp_folder,
)
from vbench.config.app import working_dir
from vbench.config.interpreter import executable_of, import_path
from vbench.config.schema import Config
from vbench.errors import InputError, TrialError
from vbench.linux import nics, procfs
from vbench.linux.guard import SupervisedProcess, supervised
from vbench.linux.ports import free_ports, port_is_free, port_taken
from vbench.ray_internals.haproxy import PORT_VARIABLES
from vbench.ray_internals.node import ESSENTIAL_PROCESSES, raylet_socket, session_folder
from vbench.video.addresses import is_remote
from vbench.video.fetch.download import redacted

LOOPBACK = "127.0.0.2"
"""Not 127.0.0.1, which Ray replaces by an external address of the machine."""

SERVICE_HOST = "127.0.0.1"
"""Where Serve's proxy listens."""

POLL_S = 0.05

ENDING_S = 15.0
"""``ray start --block`` checks its processes once per second, and its guard then ends the rest."""

SESSIONS = "r"
"""Name of Ray's temp dir, in a folder that only this user can enter: Ray opens its own to all users."""


def check(config: Config) -> None:
    """InputError if the object store does not fit into memory, the service's port is taken, or Ray cannot
    start from this environment; starts nothing."""
    check_installation()
    port = config.cluster.http_port
    if port and not port_is_free(SERVICE_HOST, port):
        raise InputError(port_taken(SERVICE_HOST, port))
    ((name, node),) = config.cluster.nodes.items()
    key = f"cluster.nodes.{name}.object_store_mb={node.object_store_mb}"
    shm_mb = shutil.disk_usage("/dev/shm").free // 10**6
    free_mb = psutil.virtual_memory().available // 10**6
    where, most_mb = min(("/dev/shm", shm_mb), ("memory", free_mb), key=lambda item: item[1])
    if node.object_store_mb > most_mb * 0.9:
        raise InputError(
            f"{key} does not fit: {where} has {most_mb} MB free, a tenth of which stays free;"
            f" use {int(most_mb * 0.9)} or less."
        )


@contextmanager
def start(config: Config, log: Path, progress: Progress) -> Iterator[RunningCluster]:
    """A Ray head with the runtime's flags in its environment; ended on leaving, whatever happens.

    ``log`` gets Ray's output. TrialError if Ray does not start within ``cluster.start_timeout_s``.
    """
    ((name, node),) = config.cluster.nodes.items()
    env = node_environment(config.runtime, working_dir(config))
    env |= import_path(config.runtime, Path(config.outputs), env)
    private = temp_folder(config.runtime)
    folder = private / SESSIONS
    if of_haproxy := haproxy_environment(config.runtime, private):
        # Nothing else may have them, as there is where the node shares this machine's network.
        spare = zip(PORT_VARIABLES, free_ports("0.0.0.0", len(PORT_VARIABLES)), strict=True)
        env |= of_haproxy | {name: str(port) for name, port in spare if name not in config.runtime.env}
    names = ("port", "dashboard-agent-listen-port")
    ports = dict(zip(names, free_ports(LOOPBACK, len(names)), strict=True))
    command = start_command(
        node, ip=LOOPBACK, folder=folder, head=None, ports=ports, python=executable_of(config.runtime)
    )
    isolated = _isolated(config, progress)
    progress("starting Ray")
    with (
        log.open("wb") as output,
        supervised(
            [*private_network.COMMAND, *command] if isolated else command,
            env=env,
            folders=[private],
            stdout=output,
            stderr=output,
        ) as ray,
    ):
        pid = _wait(ray, folder, ports["port"], config.cluster.start_timeout_s, log, isolated=isolated)
        for opened in (folder, session_folder(folder).resolve()):
            opened.chmod(0o700)  # Ray opens both to all users
        yield RunningCluster(
            address=f"{LOOPBACK}:{ports['port']}",
            temp_dir=str(folder),
            load_env=env,
            exit_status=lambda: ray_exit_status(ray),
            nodes=(NodeAddress(name=name, ip=LOOPBACK),),
            enter=(*ENTER, str(pid)) if isolated else (),
        )


def _isolated(config: Config, progress: Progress) -> bool:
    """Whether the node gets a network of its own: as configured, or by default if it needs no other.

    InputError if it is configured and the kernel does not allow it.
    """
    asked = config.cluster.private_network
    needed_for = _reaches_out(config)
    if asked is False or (asked is None and needed_for is not None):
        return False
    if asked and needed_for is not None:
        raise InputError(
            f"cluster.private_network=true cuts the service off from {needed_for}; use"
            " cluster.private_network=null."
        )
    refused = private_network.refusal()
    if refused is not None and asked:
        raise InputError(f"cluster.private_network=true: {refused}; use cluster.private_network=null.")
    if refused is not None:
        progress("Ray's ports are open to other machines", note=refused)
    return refused is None


def _reaches_out(config: Config) -> str | None:
    """What the service fetches over the network while it runs; None if nothing."""
    if is_remote(config.video.path or ""):
        return f"video.path={redacted(config.video.path or '')}"
    weights = config.model.weights
    if weights not in ("bundled", "random") and not Path(weights).expanduser().exists():
        return f"model.weights={weights}"
    return None


def ray_exit_status(ray: SupervisedProcess) -> int | None:
    """Ray's exit status, None while all of it runs.

    Whatever uses a process of Ray fails as soon as that process ends, and ``ray start`` exits a little later:
    a call in between waits for it.
    """
    names = {line.name for pid in ray.pids() if (line := procfs.stat(pid))}
    if not names >= ESSENTIAL_PROCESSES:
        with suppress(subprocess.TimeoutExpired):
            ray.guard.wait(ENDING_S)
    return ray.exit_status()


def _wait(
    ray: SupervisedProcess, folder: Path, port: int, timeout_s: float, log: Path, *, isolated: bool
) -> int | None:
    """Wait until the control store accepts connections and the raylet responds on its socket.

    The id of a process in the node's own network, None if that is this process's: from here only the raylet's
    socket, which is a file, can be tried in a network of its own. It is there after the control store.
    """
    deadline = time.monotonic() + timeout_s
    own = nics.namespace(os.getpid())
    while time.monotonic() < deadline:
        if (status := ray.exit_status()) is not None:
            raise TrialError(f"Ray exited with status {status} while starting: {last_error(log)}; see {log}")
        if listens(socket.AF_UNIX, raylet_socket(folder)):
            if isolated:
                inside = (pid for pid in ray.pids() if nics.namespace(pid) not in (None, own))
                if (pid := next(inside, None)) is not None:  # else Ray is just ending
                    return pid
            elif listens(socket.AF_INET, (LOOPBACK, port)):
                return None
        time.sleep(POLL_S)
    raise TrialError(
        f"Ray did not start within cluster.start_timeout_s={timeout_s:g}: see {log}, and raise it on a slow"
        " machine."
    )
