"""One test per interface in ``vbench.ray_internals``, named like it, against the Ray that is installed.

After an upgrade of Ray, the tests that fail say what has moved. The slow ones share one cluster of two nodes.
"""

import asyncio
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import ray
import requests
from ray import cloudpickle, serve
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import vbench.ray_internals
from tests.support.waiting import until
from vbench.clusters.ray_node import RAY_ENV, listens, node_environment, start_command, temp_folder
from vbench.config.schema import NodeConfig
from vbench.linux import procfs
from vbench.linux.guard import supervised
from vbench.linux.ports import free_ports
from vbench.linux.tcp_connections import tcp_connections_of
from vbench.pipeline import build
from vbench.pipeline.request_count import PROXY_COUNT
from vbench.ray_internals import (
    api_server,
    jobs,
    node,
    node_manager,
    object_manager,
    objects,
    processes,
    start,
    version,
)
from vbench.ray_internals import serve as serve_actors

ROOT = Path(__file__).resolve().parents[1]
HEAD, WORKER = "127.0.0.2", "127.0.0.3"
STORE_MB = 120
DEADLINE_S = 60.0
CONNECTIONS = 15
T = TypeVar("T")

# A worker of Ray cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_every_interface_in_the_table_has_a_test_of_its_name() -> None:
    assert vbench.ray_internals.__doc__ is not None
    rows = re.findall(r"^(\w+) {2,}\w", vbench.ray_internals.__doc__, re.MULTILINE)
    assert len(rows) > 30
    assert [name for name in rows if f"test_{name}" not in globals() and name != "Interface"] == []


PRIVATE = re.compile(
    r"\bray(\.[a-z]\w*)*\._(?!_)\w+|\bray\.(core\.generated|experimental|dashboard|scripts)\b|_to_object_ref\b|"
    r"\b_on_ready\b|__ray_\w+__|_server_ray_version|node:__internal_head__|session_latest|SERVE_REPLICA::|"
    r"SERVE_CONTROLLER_ACTOR|--node_ip_address|_raylet_healthz|RAY_SERVE_HTTP_PROXY|RAY_JOB_STOP|"
    r"RAY_experimental_|RAY_object_manager"
)
"""Interfaces of Ray that only ``vbench.ray_internals`` may name. ``ray.__version__`` is public."""


@pytest.mark.parametrize("folder", ["vbench", "experiments"])
def test_no_other_module_names_a_private_interface_of_ray(folder: str) -> None:
    assert PRIVATE.search("from ray.serve._private.constants import X")
    assert PRIVATE.search("import ray._raylet")
    assert not PRIVATE.search("print(ray.__version__, ray.__commit__)")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(ROOT / "vbench" / "ray_internals")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if PRIVATE.search(line)
    ]
    assert offenders == []


def test_no_other_test_imports_a_private_interface_of_ray() -> None:
    imports = re.compile(
        r"^\s*(from|import) ray(\.\w+)*(\._\w+|\.core\.generated|\.experimental)", re.MULTILINE
    )
    assert imports.search("from ray._private.internal_api import node_stats")
    offenders = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != Path(__file__).resolve() and imports.search(path.read_text())
    ]
    assert offenders == []


def test_constants_are_read_without_importing_ray() -> None:
    names = ("jobs", "node", "node_manager", "object_manager", "processes", "serve", "start", "version")
    code = f"import sys\nfrom vbench.ray_internals import {', '.join(names)}\nassert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE_S, cwd=ROOT)


def test_distribution_version() -> None:
    assert version.installed_version() == ray.__version__
    with (ROOT / "pyproject.toml").open("rb") as file:
        pinned: list[str] = tomllib.load(file)["project"]["dependencies"]
    assert f"ray[serve]=={version.SUPPORTED}" in pinned
    assert version.version_problem() is None


@pytest.mark.parametrize(("installed", "accepted"), [("2.60.3", True), ("2.59.0", False), ("3.0.0", False)])
def test_another_minor_version_is_refused_with_a_remedy(
    installed: str, accepted: bool, tmp_path: Path
) -> None:
    """Whatever Ray is imported from: the version is that of the distribution."""
    metadata = tmp_path / f"ray-{installed}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: ray\nVersion: {installed}\n")
    code = (
        "from vbench.clusters.installation import check_installation\n"
        "from vbench.errors import InputError\n"
        "try:\n    check_installation()\nexcept InputError as error:\n    print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    refusal = (
        f"Ray {installed} is installed, and vbench needs Ray {version.SUPPORTED}, whose internal interfaces"
        f" it uses: run pip install 'ray[serve]=={version.SUPPORTED}'.\n"
    )
    assert done.stdout == ("" if accepted else refusal)


def test_node_variables() -> None:
    code = (
        "import json\n"
        "from ray._common.usage.usage_lib import usage_stats_enabled\n"
        "from ray._private import ray_constants, ray_logging\n"
        "from ray._private.accelerators import RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO_ENV_VAR as accelerator\n"
        "drain_s = ray_constants.RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S\n"
        "print(json.dumps([usage_stats_enabled(), ray_logging.RAY_DEDUP_LOGS, drain_s, accelerator]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, **node.NODE_VARIABLES},
        capture_output=True,
        timeout=DEADLINE_S,
    )
    *values, accelerator = json.loads(done.stdout)
    assert values == [False, False, 0.0]
    assert accelerator in node.NODE_VARIABLES


def test_package_limit() -> None:
    from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE

    assert GCS_STORAGE_MAX_SIZE == jobs.PACKAGE_LIMIT_BYTES


def test_serve_builds_the_graph_from_the_arguments_in_a_yaml_file() -> None:
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

    built = call_user_app_builder_with_args_if_necessary(build, {"mode": "combined", "model": "shapes"})
    assert isinstance(built, serve.Application)


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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The head as vbench starts it, the worker by Ray's own program and with the connections flag."""
    gcs, dashboard, *agents = free_ports(HEAD, 4)
    size = NodeConfig(cpus=1, object_store_mb=STORE_MB, resources={"disk": 1})
    logs = {ip: tmp_path_factory.mktemp("ray") / f"{ip}.log" for ip in (HEAD, WORKER)}
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
            env = {**node_environment(connections), **variables}
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


@pytest.mark.slow
def test_started_line(cluster: Cluster) -> None:
    """Without it the cluster would not be up. It is not printed too early:"""
    for ip, temp_dir in cluster.temp_dirs.items():
        assert listens(socket.AF_UNIX, node.raylet_socket(temp_dir))
        assert cluster.node(ip)["Alive"]


@pytest.mark.slow
def test_session_folder(cluster: Cluster) -> None:
    for temp_dir in cluster.temp_dirs.values():
        session = node.session_folder(temp_dir).resolve()
        assert session.parent == temp_dir.resolve()
        assert (session / "logs").is_dir()


@pytest.mark.slow
def test_longest_socket(cluster: Cluster) -> None:
    for temp_dir in cluster.temp_dirs.values():
        session = node.session_folder(temp_dir).resolve()
        sockets = [path for path in session.rglob("*") if path.is_socket()]
        assert len(sockets) > 1
        # A process id of this machine may be shorter.
        spare = 7 - len(session.name.rpartition("_")[2])
        longest = max(len(str(path)) - len(str(temp_dir)) for path in sockets if "dash_" not in path.name)
        assert longest + spare <= node.LONGEST_SOCKET


@pytest.mark.slow
def test_raylet_socket(cluster: Cluster) -> None:
    for temp_dir in cluster.temp_dirs.values():
        assert listens(socket.AF_UNIX, node.raylet_socket(temp_dir))


@pytest.mark.slow
def test_essential_processes(cluster: Cluster) -> None:
    names = {line.name for pid in cluster.pids(HEAD) if (line := procfs.stat(pid))}
    assert names >= node.ESSENTIAL_PROCESSES


@pytest.mark.slow
def test_head_resource(cluster: Cluster) -> None:
    assert cluster.node(HEAD)["Resources"][node.HEAD_RESOURCE] == 1
    assert node.HEAD_RESOURCE not in cluster.node(WORKER)["Resources"]


@pytest.mark.slow
def test_resource_bounds(cluster: Cluster) -> None:
    from ray._private import ray_constants

    actor = (
        ray.remote(Worker).options(**cluster.on(HEAD), resources={"disk": 1.2 * node.LEAST_RESOURCE}).remote()
    )
    assert ray.get(actor.resources.remote(), timeout=DEADLINE_S)["disk"] == node.LEAST_RESOURCE
    ray.kill(actor)
    assert ray_constants.MAX_RESOURCE_QUANTITY == node.MOST_RESOURCE
    least_bytes = ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES
    assert (node.SMALLEST_OBJECT_STORE_MB - 5) * 10**6 < least_bytes <= node.SMALLEST_OBJECT_STORE_MB * 10**6


@pytest.mark.slow
def test_agent_health(cluster: Cluster) -> None:
    from ray._private import ray_constants

    assert ray_constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT == node.AGENT_PORT
    assert ray_constants.DEFAULT_PORT == node.GCS_PORT
    urls = [f"http://{ip}:{port}{node.RAYLET_HEALTH_PATH}" for ip, port in cluster.agent_ports.items()]
    for url in (*urls, cluster.dashboard + node.GCS_HEALTH_PATH):
        until(lambda url=url: _status(url) == 200, url)


def _status(url: str) -> int | None:
    try:
        return requests.get(url, timeout=DEADLINE_S, proxies=dict(api_server.DIRECT)).status_code
    except requests.ConnectionError:
        return None


@pytest.mark.slow
def test_jemalloc_preload(cluster: Cluster) -> None:
    environ = procfs.environ(cluster.raylet(HEAD))
    assert environ is not None
    assert environ["LD_PRELOAD"].endswith(node.PRELOADED_LIBRARY)


@pytest.mark.slow
def test_lean_start(cluster: Cluster) -> None:
    from ray.scripts import scripts

    assert all(find_spec(name) for name in start.COMMANDS)
    assert callable(scripts.get_ray_client_dependency_error)
    commands = [" ".join(procfs.command(pid)) for pid in cluster.pids(HEAD)]
    assert any(start.MODULE in command for command in commands)
    assert not any("ray.util.client.server" in command for command in commands)


@pytest.mark.slow
def test_raylet_arguments(cluster: Cluster) -> None:
    for ip, temp_dir in cluster.temp_dirs.items():
        command = procfs.command(cluster.raylet(ip))
        assert processes.raylet_ip(command) == ip
        assert processes.has_session_in(command, str(temp_dir))
    head = procfs.command(cluster.raylet(HEAD))
    assert not processes.has_session_in(head, str(cluster.temp_dirs[WORKER]))


class Worker:
    def parent(self) -> int:
        return os.getppid()

    def resources(self) -> dict[str, float]:
        found: dict[str, float] = ray.get_runtime_context().get_assigned_resources()
        return found


@pytest.mark.slow
def test_raylet_is_parent(cluster: Cluster) -> None:
    for ip in (HEAD, WORKER):
        actor = ray.remote(Worker).options(**cluster.on(ip)).remote()
        assert ray.get(actor.parent.remote(), timeout=DEADLINE_S) == cluster.raylet(ip)
        ray.kill(actor)


@pytest.mark.slow
def test_ray_start_is_root(cluster: Cluster) -> None:
    line = procfs.stat(cluster.raylet(WORKER))
    assert line is not None
    assert processes.is_ray_start(procfs.command(line.parent))
    below = procfs.descendants(procfs.all_stats(), [line.parent])
    agents = {pid for pid in cluster.pids(WORKER) if _is_agent(procfs.command(pid))}
    assert len(agents) == len(processes.AGENT_TITLES)
    assert below >= {cluster.raylet(WORKER), *agents}


def _is_agent(command: list[str]) -> bool:
    return bool(command) and any(word in command[0] for word in processes.AGENT_TITLES)


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


def _connections_after(cluster: Cluster, sender: str, receiver: str, nbytes: int) -> int:
    """Connections to the receiver's object manager once an object has been sent there.

    Both nodes are in one network namespace: the raylets' connections are all there are to this port.
    """
    port = cluster.node(receiver)["ObjectManagerPort"]
    with peers(cluster) as actors, tcp_connections_of(os.getpid()) as connections:
        references = ray.get(actors[sender].put.remote(nbytes), timeout=DEADLINE_S)
        assert ray.get(actors[receiver].get.remote(references), timeout=DEADLINE_S) == nbytes
        return connections.by_peer()[receiver, port]


@pytest.mark.slow
def test_chunk_bytes(cluster: Cluster) -> None:
    """The worker may open 15 connections, and opens one with each chunk: 12 for a little less than 12."""
    nbytes = 12 * object_manager.CHUNK_BYTES - 2**20
    assert _connections_after(cluster, WORKER, HEAD, nbytes) == 12


@pytest.mark.slow
def test_connection_flags(cluster: Cluster) -> None:
    environ = procfs.environ(cluster.raylet(WORKER))
    assert environ is not None
    assert environ[object_manager.ENABLE_VARIABLE] == "1"
    assert environ[object_manager.COUNT_VARIABLE] == str(CONNECTIONS)
    for _ in range(2):
        found = _connections_after(cluster, WORKER, HEAD, 12 * object_manager.CHUNK_BYTES)
    assert found == CONNECTIONS


@pytest.mark.slow
def test_default_connections(cluster: Cluster) -> None:
    environ = procfs.environ(cluster.raylet(HEAD))
    assert environ is not None
    assert not {object_manager.ENABLE_VARIABLE, object_manager.COUNT_VARIABLE} & environ.keys()
    nbytes = 12 * object_manager.CHUNK_BYTES
    assert _connections_after(cluster, HEAD, WORKER, nbytes) == object_manager.DEFAULT_CONNECTIONS


@pytest.mark.slow
def test_object_store_stats(cluster: Cluster) -> None:
    until(lambda: cluster.store(WORKER).used_bytes < 1e6, "the objects of other tests are gone")
    before = cluster.store(WORKER)
    with peers(cluster) as actors:
        ray.get(actors[WORKER].keep.remote(10_000_000), timeout=DEADLINE_S)
        after = cluster.store(WORKER)
    assert after.used_bytes - before.used_bytes >= 10_000_000
    assert after.created_bytes - before.created_bytes >= 10_000_000
    assert (after.spilled_bytes, after.fallback_bytes) == (before.spilled_bytes, before.fallback_bytes)


@pytest.mark.slow
def test_spilling_threshold(cluster: Cluster) -> None:
    until(lambda: cluster.store(WORKER).used_bytes < 1e6, "the objects of other tests are gone")
    before = cluster.store(WORKER).spilled_bytes
    share = STORE_MB * 10**6 // 20
    kept = round(20 * object_manager.SPILLING_THRESHOLD) - 1
    with peers(cluster) as actors:
        for _ in range(kept):
            ray.get(actors[WORKER].keep.remote(share), timeout=DEADLINE_S)
        assert cluster.store(WORKER).spilled_bytes == before
        for _ in range(2):
            ray.get(actors[WORKER].keep.remote(share), timeout=DEADLINE_S)
        until(lambda: cluster.store(WORKER).spilled_bytes > before, "objects are spilled")


class Stage:
    """A deployment that returns a response of a given size, or when it is told to."""

    def __init__(self) -> None:
        self._go = asyncio.Event()

    async def make(self, nbytes: int) -> Any:
        return np.ones(nbytes, np.uint8)

    async def wait(self) -> None:
        await self._go.wait()

    def go(self) -> None:
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


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Served]:
    (port,) = free_ports("127.0.0.1", 1)
    ran_before = serve_actors.controller_is_running()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    options = {"ray_actor_options": {"num_cpus": 0}}
    stage = serve.deployment(Stage).options(**options).bind()
    handle = serve.run(serve.deployment(Front).options(**options).bind(stage), name="contract")
    yield Served(handle=handle, url=f"http://127.0.0.1:{port}", ran_before=ran_before)
    serve.shutdown()


@pytest.mark.slow
def test_controller_actor(served: Served) -> None:
    assert not served.ran_before
    assert serve_actors.controller_is_running()


@pytest.mark.slow
def test_proxy_actors(cluster: Cluster, served: Served) -> None:
    (pid,) = serve_actors.proxy_pids()
    assert pid in cluster.pids(HEAD)


@pytest.mark.slow
def test_replica_actors(cluster: Cluster, served: Served) -> None:
    found = {actor.deployment: actor for actor in serve_actors.replica_actors()}
    assert found.keys() == {"Stage", "Front"}
    assert {actor.application for actor in found.values()} == {"contract"}
    assert found["Stage"].replica == served.run(lambda stage: stage.identity.remote())
    assert {actor.node_id for actor in found.values()} <= {one["NodeID"] for one in ray.nodes()}


@pytest.mark.slow
def test_proxy_middleware(served: Served) -> None:
    assert serve_actors.PROXY_CALLBACK_VARIABLE in RAY_ENV
    counts = []
    for _ in range(2):
        response = requests.get(served.url, timeout=DEADLINE_S, proxies=dict(api_server.DIRECT))
        counts.append(int(response.headers[PROXY_COUNT]))
    assert counts[1] == counts[0] + 1


@pytest.mark.slow
def test_process_titles(cluster: Cluster, served: Served) -> None:
    def titles() -> list[str]:
        commands = [procfs.command(pid) for ip in (HEAD, WORKER) for pid in cluster.pids(ip)]
        return [command[0] for command in commands if command]

    def some(*words: str) -> bool:
        return any(
            title.startswith(processes.TITLE_PREFIX) and word in title for title in titles() for word in words
        )

    assert some(*processes.PROXY_TITLES)
    assert some(*processes.CONTROLLER_TITLES)
    for word in processes.AGENT_TITLES:
        assert some(word), word
    assert {Path(title).name for title in titles()} >= {processes.RAYLET, processes.GCS_SERVER}
    deployments = {processes.replica_deployment(title) for title in titles()}
    assert deployments == {None, "Stage", "Front"}
    assert processes.replica_deployment("ray::ServeReplica:contract:Stage") == "Stage"
    commands = [" ".join(procfs.command(pid)) for pid in cluster.pids(WORKER)]
    assert any(f"/{processes.RAY_PROGRAM} start" in command for command in commands)
    workers = Path(inspect.getfile(ray)).parent / "_private" / "workers"
    assert (workers / processes.WORKER_SCRIPT).is_file()


@pytest.mark.slow
def test_response_reference(served: Served) -> None:
    async def test(stage: Any) -> tuple[bool, int]:
        reference = await objects.response_reference(stage.make.remote(1_000_000))
        return isinstance(reference, ray.ObjectRef), (await reference).nbytes

    assert served.run(test) == (True, 1_000_000)


@pytest.mark.slow
def test_object_existence(served: Served) -> None:
    async def test(stage: Any) -> tuple[bool, bool]:
        reference = await objects.response_reference(stage.wait.remote())
        waiting = asyncio.create_task(objects.object_existence(reference))
        await stage.identity.remote()
        too_early = waiting.done()
        await stage.go.remote()
        await asyncio.wait_for(waiting, DEADLINE_S)
        return too_early, waiting.done()

    assert served.run(test) == (False, True)


@pytest.mark.slow
def test_object_size(served: Served) -> None:
    async def test(stage: Any) -> list[int | None]:
        sizes = []
        for nbytes in (10, 3_000_000):
            reference = await objects.response_reference(stage.make.remote(nbytes))
            await objects.object_existence(reference)
            sizes.append(objects.object_size(reference))
        return sizes

    small, large = served.run(test)
    assert small is not None
    assert large is not None
    assert small < 3_000_000 <= large < 3_100_000


def _client(cluster: Cluster) -> api_server.JobsClient:
    return api_server.JobsClient(cluster.dashboard, None, timeout_s=DEADLINE_S, slowest_mb_per_s=1)


@pytest.mark.slow
def test_server_version(cluster: Cluster) -> None:
    assert _client(cluster).ray_version == ray.__version__


@pytest.mark.slow
def test_address_variables(cluster: Cluster) -> None:
    nowhere = "http://127.0.0.1:1"
    with environment(**dict.fromkeys(api_server.ADDRESS_VARIABLES, nowhere)):
        assert _client(cluster).ray_version == ray.__version__
        assert [os.environ[name] for name in api_server.ADDRESS_VARIABLES] == [nowhere] * 2


def test_request_options() -> None:
    """A server that says nothing is given up in time, and no proxy is asked in its place."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        environment(http_proxy="http://127.0.0.1:1", no_proxy=""),
    ):
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(requests.Timeout):
            api_server.JobsClient(address, {"X-Token": "mine"}, timeout_s=0.5, slowest_mb_per_s=1)
        connection, _ = silent.accept()
        with connection:
            request = connection.recv(4096)
    assert request.startswith(b"GET /api/version HTTP/1.1")
    assert b"X-Token: mine" in request


@pytest.mark.slow
def test_state_api_client(cluster: Cluster) -> None:
    found = api_server.list_alive_nodes(cluster.dashboard, None, most=10, timeout_s=DEADLINE_S)
    assert {one.node_ip: one.is_head_node for one in found} == {HEAD: True, WORKER: False}
    assert all(one.resources_total["object_store_memory"] == STORE_MB * 10**6 for one in found)


JOB = """
import signal, sys, time

def stop(number, _):
    time.sleep(4)  # longer than Ray gives a job by default
    print("stopped by", signal.Signals(number).name, flush=True)
    sys.exit(0)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
print("x" * int(sys.argv[1]), flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def job_log(cluster: Cluster) -> list[str]:
    """What a job says that writes one long line and is then stopped; as its log is followed."""
    client = _client(cluster)
    variables = {jobs.STOP_SIGNAL_VARIABLE: "SIGINT", jobs.STOP_WAIT_VARIABLE: "30"}
    name = client.submit_job(
        entrypoint=f"exec {sys.executable} -c '{JOB}' {jobs.LOG_LINE_LIMIT}",
        runtime_env={"env_vars": variables},
    )

    async def follow() -> str:
        log, stopped = "", False
        async for text in client.tail_job_logs(name):
            log += text
            if "xxx" in log and not stopped:
                stopped = client.stop_job(name)
        return log

    return asyncio.run(asyncio.wait_for(follow(), DEADLINE_S)).splitlines()


@pytest.mark.slow
def test_job_stop(job_log: list[str]) -> None:
    assert "stopped by SIGINT" in job_log


@pytest.mark.slow
def test_log_line_limit(job_log: list[str]) -> None:
    assert "x" * jobs.LOG_LINE_LIMIT in job_log
