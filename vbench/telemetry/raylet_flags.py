"""Proof of the runtime flags: the environment of the raylets themselves, which alone read them."""

from collections.abc import Sequence
from pathlib import Path

from vbench.clusters.base import ClusterEndpoint, NodeAddress
from vbench.config.runtime_flags import found_flags
from vbench.errors import TrialError
from vbench.linux import procfs
from vbench.record.types import NodeRuntime

IP_ARGUMENT = "--node_ip_address="


def raylets(temp_dir: str) -> list[tuple[str, int]]:
    """(IP address, process id) of each raylet that this process can see whose session is in ``temp_dir``."""
    return [
        (ip, pid)
        for pid in procfs.pids()
        if (argv := procfs.command(pid))
        and Path(argv[0]).name == "raylet"
        and any(f"{temp_dir}/" in argument for argument in argv)
        for ip in [_ip(argv)]
    ]


def raylet_of_each(place: ClusterEndpoint) -> dict[str, int]:
    """Node -> process id of its raylet; TrialError where one is not seen."""
    pids = dict(raylets(place.temp_dir))
    missing = [node.name for node in place.nodes if node.ip not in pids]
    if missing:
        raise TrialError(f"no raylet of {', '.join(missing)} was found: its processes cannot be watched")
    return {node.name: pids[node.ip] for node in place.nodes}


def _ip(argv: Sequence[str]) -> str:
    """As Ray gives it; empty where it does not."""
    return next((text.removeprefix(IP_ARGUMENT) for text in argv if text.startswith(IP_ARGUMENT)), "")


def found(temp_dir: str, nodes: Sequence[NodeAddress]) -> list[NodeRuntime]:
    """The flags in the environment of each raylet; one that belongs to no node is called by its address."""
    names = {node.ip: node.name for node in nodes}
    return [
        NodeRuntime(
            node=names.get(ip, ip),
            raylet_pid=pid,
            flags=None if (environ := procfs.environ(pid)) is None else found_flags(environ),
        )
        for ip, pid in raylets(temp_dir)
    ]
