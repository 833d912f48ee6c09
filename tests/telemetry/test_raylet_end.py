"""When a part of Ray ends under a trial, that is the cause which is named, not what failed because of it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import until
from vbench.clusters.base import ClusterEndpoint, NodeAddress
from vbench.clusters.local import ray_exit_status
from vbench.errors import TrialError
from vbench.linux import procfs
from vbench.linux.guard import SupervisedProcess, supervised
from vbench.ray_internals.node import ESSENTIAL_PROCESSES
from vbench.record.network import Link
from vbench.telemetry.link_idle import wait_until_idle
from vbench.telemetry.nodes import NodeSampler, RayNode

RAY = """
"$1/raylet" 300 & "$1/gcs_server" 300 &
wait -n
sleep 0.5
exit 7
"""
"""As ``ray start --block``: two processes, and an end a little after that of the first of them."""


@contextmanager
def ray_in(folder: Path) -> Iterator[tuple[SupervisedProcess, dict[str, int]]]:
    """A guarded stand-in for Ray's processes; their process ids by name."""
    for name in ESSENTIAL_PROCESSES:
        shutil.copy(str(shutil.which("sleep")), folder / name)

    with supervised(["bash", "-c", RAY, "ray", str(folder)], env=os.environ) as ray:

        def pids() -> dict[str, int]:
            lines = (procfs.stat(pid) for pid in ray.pids())
            return {line.name: line.pid for line in lines if line and line.name in ESSENTIAL_PROCESSES}

        until(lambda: pids().keys() == ESSENTIAL_PROCESSES, "both are up")
        yield ray, pids()


@pytest.mark.parametrize("name", sorted(ESSENTIAL_PROCESSES))
def test_whoever_asks_for_rays_status_after_a_part_of_it_has_ended_is_told(tmp_path: Path, name: str) -> None:
    with ray_in(tmp_path) as (ray, pids):
        assert ray_exit_status(ray) is None
        os.kill(pids[name], signal.SIGKILL)
        until(lambda: pids[name] not in ray.pids(), f"{name} has ended")
        assert ray_exit_status(ray) == 7


@contextmanager
def ended_process() -> Iterator[int]:
    """The id of a process that has ended and is not waited for yet."""
    process = subprocess.Popen(["sleep", "300"])
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        yield process.pid
    finally:
        process.wait()


def endpoint(*links: Link) -> ClusterEndpoint:
    return ClusterEndpoint(
        address="127.0.0.2:1",
        temp_dir="/tmp",
        nodes=[NodeAddress(name="head", ip="127.0.0.2")],
        links=list(links),
        is_here=True,
    )


def sample(raylet: int) -> None:
    nodes = [RayNode(ip="127.0.0.2", manager_port=1, object_port=1)]
    with NodeSampler(endpoint(), nodes, 1.0, {"head": raylet}).running():
        pass


def wait_for_quiet(raylet: int) -> None:
    wait_until_idle([Link(node="head", nic_mbps=1.0, flow_mbps=1.0)], {"head": raylet}, 5.0)


@pytest.mark.parametrize("look", [sample, wait_for_quiet])
def test_what_a_raylet_that_has_ended_no_longer_tells_is_not_the_cause(look: object) -> None:
    assert callable(look)
    with ended_process() as zombie:
        for pid in (zombie, 2**22 + 1):
            with pytest.raises(TrialError, match="the raylet on head exited during the trial"):
                look(pid)


def test_what_a_living_raylet_does_not_tell_is_raised_as_it_is() -> None:
    """Nobody answers for its object store."""
    import grpc

    with pytest.raises(grpc.RpcError):
        sample(os.getpid())
