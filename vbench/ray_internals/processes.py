"""How Ray's processes name themselves: program, arguments and titles, as ``/proc`` shows them."""

import re
from collections.abc import Sequence
from pathlib import Path

RAYLET = "raylet"
GCS_SERVER = "gcs_server"
HAPROXY = "haproxy"
RAY_PROGRAM = "ray"
"""Of ``ray start --block`` and of the agents' scripts."""
WORKER_SCRIPT = "default_worker.py"
"""Of a worker until it has a title."""

TRANSFER_THREAD = "rpc.obj.mgr."
"""With a number after it: the name of such a thread."""

TITLE_PREFIX = "ray::"

PROXY_TITLES = ("ProxyActor", "HAProxyManager", "SERVE_PROXY_ACTOR")
CONTROLLER_TITLES = ("ServeController", "SERVE_CONTROLLER")
AGENT_TITLES = ("DashboardAgent", "RuntimeEnvAgent")
"""What is in the titles of Serve's proxies and controller, and of a node's agents: ``ray::CLASS.METHOD``, or
``ray::NAME:CLASS.METHOD``."""

_REPLICA = re.compile(r"ServeReplica:[^:]*:(\w+)|SERVE_REPLICA::[^#]*#(\w+)#")
_IP_ARGUMENT = "--node_ip_address="


def replica_deployment(title: str) -> str | None:
    """The deployment whose replica has this title; None if no replica has it.

    The title is ``ray::ServeReplica:APP:DEPLOYMENT``, or while the replica runs a method
    ``ray::SERVE_REPLICA::APP#DEPLOYMENT#ID:ServeReplica:APP:DEPLOYMENT.METHOD``.
    """
    match = _REPLICA.search(title)
    return None if match is None else match[1] or match[2]


def is_haproxy(command: str) -> bool:
    """Whether this command line is HAProxy's."""
    return Path(command.partition(" ")[0]).name == HAPROXY


def is_raylet(command: Sequence[str]) -> bool:
    """Whether a process with these arguments is a raylet. Every worker of a node is its child."""
    return bool(command) and Path(command[0]).name == RAYLET


def is_gcs_server(command: Sequence[str]) -> bool:
    """Whether a process with these arguments is a control store."""
    return bool(command) and Path(command[0]).name == GCS_SERVER


def is_transfer_thread(name: str) -> bool:
    """Whether a raylet's thread with this name takes chunks from other nodes."""
    return name.startswith(TRANSFER_THREAD)


def raylet_ip(command: Sequence[str]) -> str:
    """The address of a raylet's node by the raylet's arguments; empty if they do not give it."""
    return next((text.removeprefix(_IP_ARGUMENT) for text in command if text.startswith(_IP_ARGUMENT)), "")


def has_session_in(command: Sequence[str], temp_dir: str) -> bool:
    """Whether a raylet or control store with these arguments has its session in this temp dir."""
    return any(f"{temp_dir}/" in argument for argument in command)


def is_ray_start(command: Sequence[str]) -> bool:
    """Whether these are the arguments of ``ray start``, which with ``--block`` all of a node is below."""
    return "start" in command and any(Path(word).name == RAY_PROGRAM for word in command)
