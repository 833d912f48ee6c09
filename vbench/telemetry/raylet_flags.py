"""Finds the raylets of a trial, and the runtime's variables in their environment."""

from collections.abc import Collection, Sequence

from vbench.clusters.base import ClusterEndpoint, NodeAddress
from vbench.config.runtime_env import found_variables
from vbench.errors import SEE_RAY_LOG, TrialError
from vbench.linux import procfs
from vbench.ray_internals.processes import has_session_in, is_raylet, is_transfer_thread, raylet_ip
from vbench.record.load_report import NodeRuntime


def raylets(temp_dir: str) -> list[tuple[str, int]]:
    """(IP address, process id) of each raylet that this process can see whose session is in ``temp_dir``."""
    return [
        (raylet_ip(command), pid)
        for pid in procfs.pids()
        if is_raylet(command := procfs.command(pid)) and has_session_in(command, temp_dir)
    ]


def transfer_threads(pid: int) -> int:
    """Threads with which a raylet takes chunks from other nodes; 0 if it has ended."""
    return sum(is_transfer_thread(name) for name in procfs.thread_names(pid))


def raylet_of_each(endpoint: ClusterEndpoint) -> dict[str, int]:
    """Node -> process id of its raylet; TrialError if one is not seen."""
    pids = dict(raylets(endpoint.temp_dir))
    missing = [node.name for node in endpoint.nodes if node.ip not in pids]
    if missing:
        raise TrialError(
            f"no raylet was found on {', '.join(missing)}, so its processes cannot be sampled; {SEE_RAY_LOG}"
        )
    return {node.name: pids[node.ip] for node in endpoint.nodes}


def raylet_flags(temp_dir: str, nodes: Sequence[NodeAddress], asked: Collection[str]) -> list[NodeRuntime]:
    """The runtime's variables in the environment of each raylet: the flags, and those that are asked for.

    A raylet that belongs to no node is called by its address.
    """
    names = {node.ip: node.name for node in nodes}
    return [
        NodeRuntime(
            node=names.get(ip, ip),
            raylet_pid=pid,
            flags=None if (environ := procfs.environ(pid)) is None else found_variables(environ, asked),
            transfer_threads=transfer_threads(pid),
        )
        for ip, pid in raylets(temp_dir)
    ]
