"""The command and the environment that start one Ray node of a trial, the same for every cluster."""

import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from vbench.config.interpreter import executable_of
from vbench.config.quoting import UNQUOTED
from vbench.config.runtime_env import apply, variables_of
from vbench.config.schema import NodeConfig, RuntimeConfig
from vbench.config.sizing import node_cpus
from vbench.linux.proxies import bypassed
from vbench.pipeline import request_count
from vbench.ray_internals import haproxy, serve_calls, start
from vbench.ray_internals.ingress import Ingress, ingress_of
from vbench.ray_internals.node import LONGEST_SOCKET, NODE_VARIABLES

RAY_ENV = {**NODE_VARIABLES, **request_count.environment()}
"""Set for every Ray process of a trial. Nothing here affects the data path, except that Serve's proxy counts
its requests."""

KEPT = frozenset({"RAY_BACKEND_LOG_LEVEL"})
"""Variables of Ray that a user may set for all trials."""

DROPPED = frozenset({"PYTHONOPTIMIZE"})
"""Variables of Python that no process of a trial may have: Ray needs docstrings."""

LONGEST_TEMP = 107 - len("/vb-01234567/r") - LONGEST_SOCKET
"""Characters of the path of the folder for temporary files, at most, below which ``temp_folder`` and
``clusters.local`` add theirs: the kernel allows 107 bytes for a socket's path (unix(7))."""


def inherited() -> dict[str, str]:
    """This process's environment without another cluster's address or settings, without variables that break
    Ray, and with this machine's addresses excepted from proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in DROPPED and (not name.startswith("RAY_") or name in KEPT)
    }
    return bypassed(kept)


def node_environment(runtime: RuntimeConfig, app: Path | None = None) -> dict[str, str]:
    """The environment of all processes of a cluster: the runtime's variables, a token of its own, and
    first on ``PATH`` the programs of the Python that starts Ray: a job may run as ``python ...``.

    ``app``: the folder of the user's application. Python also imports from it, before those of the user's
    environment, and Serve's processes keep the times of its calls.

    Because of the token no other user of the machine can run code in the cluster, and no process of a trial
    can join another cluster. Ray 2.60 uses tokens by default if the home folder has a token file, so leaving
    the mode unset would make it depend on that.
    """
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    base = inherited()
    programs = Path(executable_of(runtime)).absolute().parent
    base["PATH"] = os.pathsep.join((str(programs), base.get("PATH", os.defpath)))
    if app is not None:
        base["PYTHONPATH"] = os.pathsep.join(filter(None, (str(app), base.get("PYTHONPATH"))))
        base |= serve_calls.environment()
    return apply(base, variables_of(runtime)) | RAY_ENV | token


def haproxy_environment(runtime: RuntimeConfig, folder: Path) -> dict[str, str]:
    """Variables that keep HAProxy's files in ``folder``, removed with the cluster; none without it."""
    return haproxy.file_variables(folder) if _has_haproxy(runtime) else {}


def temp_folder(runtime: RuntimeConfig | None = None) -> Path:
    """A new name for a trial's temp folder, short enough for Ray's sockets, and for those of HAProxy if the
    runtime has it, and without characters that break Ray's start commands; does not create it."""
    root = Path(tempfile.gettempdir())
    with_haproxy = runtime is not None and _has_haproxy(runtime)
    longest = LONGEST_TEMP - (haproxy.LONGEST_SOCKET - LONGEST_SOCKET if with_haproxy else 0)
    usable = len(str(root)) <= longest and not UNQUOTED.search(str(root))
    return (root if usable else Path("/tmp")) / f"vb-{secrets.token_hex(4)}"


def _has_haproxy(runtime: RuntimeConfig) -> bool:
    return ingress_of(runtime.env) is Ingress.HAPROXY


def start_command(
    node: NodeConfig,
    *,
    ip: str,
    folder: Path,
    head: str | None,
    ports: Mapping[str, int],
    python: str = sys.executable,
    dashboard_port: int | None = None,
    monitors: bool = False,
) -> list[str]:
    """``ray start`` for one node; ``head`` is the control store's ``IP:PORT``, None if this is the head.

    ``ports``: values for Ray's options on ports, by name without dashes before them. ``python``: the
    interpreter with the Ray to start. ``dashboard_port``: of
    the head's dashboard, at ``ip``; None for no dashboard. ``monitors``: whether drivers print what
    their tasks print, and ``ray status`` knows the nodes, which no trial needs.
    """
    dashboard = ["--include-dashboard=false"]
    if dashboard_port is not None:
        dashboard = [
            "--include-dashboard=true",
            f"--dashboard-host={ip}",
            f"--dashboard-port={dashboard_port}",
        ]
    return [
        *(python, "-m", start.MODULE, "--block", f"--node-ip-address={ip}"),
        *(
            ("--head", *([] if monitors else ["--no-monitor"]), *dashboard)
            if head is None
            else (f"--address={head}",)
        ),
        f"--num-cpus={node_cpus(node)}",
        f"--num-gpus={node.gpus}",
        f"--resources={json.dumps(node.resources)}",
        f"--object-store-memory={node.object_store_mb * 10**6}",
        f"--temp-dir={folder}",
        # Without it Ray silently uses a slow disk if /dev/shm is too small.
        "--plasma-directory=/dev/shm",
        *(f"--include-log-monitor={str(monitors).lower()}", "--disable-usage-stats"),
        *(f"--{name}={port}" for name, port in ports.items()),
    ]


def listens(family: socket.AddressFamily, address: tuple[str, int] | str) -> bool:
    """Whether something accepts connections there."""
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0


def last_error(log: Path) -> str:
    """The last line with an error in Ray's output, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else f"see {log}")
