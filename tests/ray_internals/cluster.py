"""A cluster of two nodes for the contract tests, started as vbench starts one, and the actors on it."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import ray
from ray import cloudpickle, serve
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tests.support.waiting import until
from vbench.clusters.ray_node import node_environment, start_command, temp_folder
from vbench.config.schema import NodeConfig, RuntimeConfig
from vbench.linux import procfs
from vbench.linux.guard import supervised
from vbench.linux.ports import free_ports
from vbench.linux.tcp_connections import tcp_connections_of
from vbench.ray_internals import node, node_manager, processes, serve_calls, start
from vbench.ray_internals import serve as serve_actors

HEAD, WORKER = "127.0.0.2", "127.0.0.3"
STORE_MB = 120
DEADLINE_S = 60.0
CONNECTIONS = 15
T = TypeVar("T")

# A worker of Ray cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Head and worker, each with an address of its own; this process is connected to the head."""

    dashboard: str
    temp_dirs: dict[str, Path]
    logs: dict[str, Path]
    agent_ports: dict[str, int]
    pids: Callable[[str], list[int]]
    """Processes of the node with this address."""

    def node(self, ip: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in ray.nodes() if one["NodeManagerAddress"] == ip)
        return found

    def raylet(self, ip: str) -> int:
        return next(pid for pid in self.pids(ip) if processes.is_raylet(procfs.command(pid)))

    def on(self, ip: str) -> dict[str, Any]:
        """Options of an actor on this node."""
        where = NodeAffinitySchedulingStrategy(self.node(ip)["NodeID"], soft=False)
        return {"num_cpus": 0, "scheduling_strategy": where}

    def store(self, ip: str) -> node_manager.ObjectStoreStats:
        found = self.node(ip)
        raylet = node_manager.NodeManagerClient(found["NodeManagerAddress"], found["NodeManagerPort"])
        try:
            return raylet.object_store_stats(DEADLINE_S)()
        finally:
            raylet.close()


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@contextmanager
def running_cluster(logs: dict[str, Path]) -> Iterator[Cluster]:
    """The head as vbench starts it, the worker by Ray's own program and with the connections flag."""
    gcs, dashboard, *agents = free_ports(HEAD, 4)
    size = NodeConfig(cpus=1, object_store_mb=STORE_MB, resources={"disk": 1})
    folders = {ip: temp_folder() for ip in (HEAD, WORKER)}
    ports = {ip: {"dashboard-agent-listen-port": port} for ip, port in zip(folders, agents, strict=True)}
    head = start_command(
        size,
        ip=HEAD,
        folder=folders[HEAD],
        head=None,
        ports=ports[HEAD] | {"port": gcs},
        dashboard_port=dashboard,
    )
    worker = start_command(size, ip=WORKER, folder=folders[WORKER], head=f"{HEAD}:{gcs}", ports=ports[WORKER])
    program = [str(Path(sys.executable).with_name("ray")), "start"]
    assert worker[2] == start.MODULE
    worker = [*program, *worker[3:]]
    guards = {}
    variables = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(folders[HEAD]),
    }
    with ExitStack() as stack:
        stack.enter_context(environment(**variables))
        for ip, command, connections in ((HEAD, head, None), (WORKER, worker, CONNECTIONS)):
            env = node_environment(RuntimeConfig(connections=connections))
            env |= serve_calls.environment() | variables
            del env["RAY_AUTH_TOKEN"]
            log = stack.enter_context(logs[ip].open("wb"))
            guards[ip] = stack.enter_context(
                supervised(command, env=env, folders=[folders[ip]], stdout=log, stderr=log)
            )
            until(lambda ip=ip: node.STARTED_LINE in logs[ip].read_text(), f"{ip} is up")
        ray.init(address=f"{HEAD}:{gcs}", logging_level="ERROR", log_to_driver=False)
        stack.callback(ray.shutdown)
        yield Cluster(
            dashboard=f"http://{HEAD}:{dashboard}",
            temp_dirs=folders,
            logs=logs,
            agent_ports=dict(zip(folders, agents, strict=True)),
            pids=lambda ip: guards[ip].pids(),
        )


class Worker:
    def parent(self) -> int:
        return os.getppid()

    def resources(self) -> dict[str, float]:
        found: dict[str, float] = ray.get_runtime_context().get_assigned_resources()
        return found


class Peer:
    """Puts objects into the store of its node, and gets those of the other's."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def put(self, nbytes: int) -> list[Any]:
        return [ray.put(np.ones(nbytes, np.uint8))]

    def get(self, references: list[Any]) -> int:
        return sum(content.nbytes for content in ray.get(references))

    def keep(self, nbytes: int) -> None:
        self._kept.append(ray.put(np.ones(nbytes, np.uint8)))


@contextmanager
def peers(cluster: Cluster) -> Iterator[dict[str, Any]]:
    actors = {ip: ray.remote(Peer).options(**cluster.on(ip)).remote() for ip in (HEAD, WORKER)}
    try:
        yield actors
    finally:
        for actor in actors.values():
            ray.kill(actor)


def connections_after(cluster: Cluster, sender: str, receiver: str, nbytes: int) -> int:
    """Connections to the receiver's object manager once an object has been sent there.

    Both nodes are in one network namespace: the raylets' connections are all there are to this port.
    """
    port = cluster.node(receiver)["ObjectManagerPort"]
    with peers(cluster) as actors, tcp_connections_of(os.getpid()) as connections:
        references = ray.get(actors[sender].put.remote(nbytes), timeout=DEADLINE_S)
        assert ray.get(actors[receiver].get.remote(references), timeout=DEADLINE_S) == nbytes
        return connections.by_peer()[receiver, port]


class Stage:
    """A deployment that returns a response of a given size, or when it is told to."""

    def __init__(self) -> None:
        self._go = asyncio.Event()

    async def make(self, nbytes: int) -> Any:
        return np.ones(nbytes, np.uint8)

    async def wait(self) -> None:
        await self._go.wait()

    async def go(self) -> None:
        self._go.set()

    def identity(self) -> str:
        replica = serve.get_replica_context().replica_id
        return f"{replica.deployment_id.name}#{replica.unique_id}"


class Front:
    """Takes HTTP requests, and runs what is asked of it in the replica, where references are used."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage

    async def __call__(self, request: Any) -> str:
        return "ok"

    async def run(self, test: Callable[[Any], Awaitable[T]]) -> T:
        return await test(self._stage)


@dataclass(frozen=True, kw_only=True)
class Served:
    handle: Any
    url: str
    ran_before: bool

    def run(self, test: Callable[[Any], Awaitable[T]]) -> T:
        """What a coroutine function gives in a replica that has a handle of ``Stage``."""
        result: T = self.handle.run.remote(test).result(timeout_s=DEADLINE_S)
        return result


@contextmanager
def running_service() -> Iterator[Served]:
    """A service of two deployments, on the cluster that this process is connected to."""
    (port,) = free_ports("127.0.0.1", 1)
    ran_before = serve_actors.controller_is_running()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    options = {"ray_actor_options": {"num_cpus": 0}}
    stage = serve.deployment(Stage).options(**options).bind()
    handle = serve.run(serve.deployment(Front).options(**options).bind(stage), name="contract")
    yield Served(handle=handle, url=f"http://127.0.0.1:{port}", ran_before=ran_before)
    serve.shutdown()
