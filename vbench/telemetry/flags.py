"""Proof of the runtime flags: the environment of the raylets themselves, which alone read them."""

from pathlib import Path

from vbench import procfs
from vbench.record import NodeRuntime
from vbench.runtimes import found_flags


def raylets(temp_dir: str) -> list[int]:
    """Process ids of the raylets on this machine whose session lies in ``temp_dir``."""
    return [
        pid
        for pid in procfs.pids()
        if (argv := procfs.command(pid))
        and Path(argv[0]).name == "raylet"
        and any(f"{temp_dir}/" in argument for argument in argv)
    ]


def found(temp_dir: str, node: str) -> list[NodeRuntime]:
    """The flags in the environment of each raylet of ``node``; empty where there is no raylet."""
    nodes = []
    for pid in raylets(temp_dir):
        environ = procfs.environ(pid)
        flags = None if environ is None else found_flags(environ)
        nodes.append(NodeRuntime(node=node, raylet_pid=pid, flags=flags))
    return nodes
