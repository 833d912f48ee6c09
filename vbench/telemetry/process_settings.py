"""Finds a runtime's variables in the processes that read them: Ray's own, Serve's actors, and this one."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ray

from vbench.clusters.base import NodeAddress
from vbench.linux import procfs
from vbench.ray_internals.actor_environment import request_variables
from vbench.ray_internals.processes import has_session_in, is_gcs_server
from vbench.ray_internals.serve import serve_actor_handle, serve_actors
from vbench.ray_internals.setting_readers import Role
from vbench.record.load_report import NodeRuntime, ProcessSettings

ANSWER_S = 30.0
"""Time within which an idle actor reports its variables."""


def of_process(role: Role, node: str, pid: int, asked: Iterable[str]) -> ProcessSettings:
    """A process of this machine by the environment that it was started with."""
    environ = procfs.environ(pid)
    variables = None if environ is None else {name: environ[name] for name in asked if name in environ}
    return ProcessSettings(role=role, node=node, pid=pid, found=variables)


def of_raylets(raylets: Sequence[NodeRuntime]) -> list[ProcessSettings]:
    """What was found in the raylets."""
    return [
        ProcessSettings(role=Role.RAYLET, node=one.node, pid=one.raylet_pid, found=one.flags)
        for one in raylets
    ]


def of_control_store(temp_dir: str, head: NodeAddress, asked: Iterable[str]) -> list[ProcessSettings]:
    """The control store whose session is in ``temp_dir``, among the processes that this one can see."""
    return [
        of_process(Role.GCS, head.name, pid, asked)
        for pid in procfs.pids()
        if is_gcs_server(command := procfs.command(pid)) and has_session_in(command, temp_dir)
    ]


def of_this_process(node: str, asked: Iterable[str]) -> ProcessSettings:
    """The driver, which is this process."""
    variables = {name: os.environ[name] for name in asked if name in os.environ}
    return ProcessSettings(role=Role.DRIVER, node=node, pid=os.getpid(), found=variables)


def of_actors(
    nodes: Mapping[str, str], workers: Mapping[str, Any], asked: Iterable[str]
) -> list[ProcessSettings]:
    """Serve's actors and ``workers``, as each of them sees its own environment.

    ``nodes``: Ray's node id -> name. ``workers``: node -> handle of an actor that is none of Serve's. One
    that does not answer has the process id 0 and nothing found.
    """
    names = tuple(asked)
    handles = [
        (actor.role, nodes.get(actor.node_id, actor.node_id), serve_actor_handle(actor.name))
        for actor in serve_actors()
    ]
    handles += [(Role.WORKER, node, handle) for node, handle in workers.items()]
    requests = [(role, node, request_variables(handle, names)) for role, node, handle in handles]
    if requests:
        ray.wait([request for *_, request in requests], num_returns=len(requests), timeout=ANSWER_S)
    settings = []
    for role, node, request in requests:
        try:
            pid, variables = ray.get(request, timeout=0)
        except ray.exceptions.RayError:
            pid, variables = 0, None
        settings.append(ProcessSettings(role=role, node=node, pid=pid, found=variables))
    return settings
