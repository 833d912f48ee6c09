"""The interfaces that take a cluster, each by the test of its name; all share one cluster of two nodes.

One file, since the tests are dealt to processes by file, and a second one would start a second cluster.
"""

import asyncio
import inspect
import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import ray
import requests

from tests.ray_internals.cluster import (
    CONNECTIONS,
    DEADLINE_S,
    HEAD,
    STORE_MB,
    WORKER,
    Cluster,
    Served,
    Worker,
    connections_after,
    environment,
    peers,
    running_cluster,
    running_service,
)
from tests.ray_internals.stopped_job import log_of_a_stopped_job
from tests.support.waiting import until
from vbench.clusters.ray_node import RAY_ENV, listens, node_environment
from vbench.config.schema import RuntimeConfig
from vbench.linux import procfs
from vbench.pipeline.request_count import PROXY_COUNT
from vbench.ray_internals import (
    api_server,
    jobs,
    node,
    object_manager,
    objects,
    processes,
    serve_calls,
    start,
)
from vbench.ray_internals import serve as serve_actors
from vbench.ray_internals.actor_environment import request_replica_signs, request_variables
from vbench.ray_internals.ingress import replica_addresses
from vbench.ray_internals.setting_readers import Role
from vbench.ray_internals.setting_signs import OF_REPLICAS, Sign


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("ray")
    with running_cluster({ip: folder / f"{ip}.log" for ip in (HEAD, WORKER)}) as running:
        yield running


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


@pytest.mark.slow
def test_chunk_bytes(cluster: Cluster) -> None:
    """The worker may open 15 connections, and opens one with each chunk: 12 for a little less than 12."""
    nbytes = 12 * object_manager.CHUNK_BYTES - 2**20
    assert connections_after(cluster, WORKER, HEAD, nbytes) == 12


@pytest.mark.slow
def test_connection_flags(cluster: Cluster) -> None:
    environ = procfs.environ(cluster.raylet(WORKER))
    assert environ is not None
    assert environ[object_manager.ENABLE_VARIABLE] == "1"
    assert environ[object_manager.COUNT_VARIABLE] == str(CONNECTIONS)
    for _ in range(2):
        found = connections_after(cluster, WORKER, HEAD, 12 * object_manager.CHUNK_BYTES)
    assert found == CONNECTIONS


@pytest.mark.slow
def test_chunk_metrics(cluster: Cluster) -> None:
    """A little less than four chunks arrive; raylets report it after some seconds."""
    host, port = object_manager.metrics_address(cluster.node(WORKER))

    def received() -> tuple[float, float]:
        page = requests.get(
            f"http://{host}:{port}/metrics", timeout=DEADLINE_S, proxies=dict(api_server.DIRECT)
        )
        return object_manager.received(page.text)

    nbytes = 4 * object_manager.CHUNK_BYTES - 2**20
    connections_after(cluster, HEAD, WORKER, nbytes)
    until(lambda: received()[1] >= 4, "the worker reports the chunks that it received")
    total_bytes, chunks = received()
    assert total_bytes > nbytes
    assert total_bytes / chunks < object_manager.CHUNK_BYTES


@pytest.mark.slow
def test_transfer_thread_names(cluster: Cluster) -> None:
    names = procfs.thread_names(cluster.raylet(HEAD))
    assert sum(processes.is_transfer_thread(name) for name in names) >= 2


@pytest.mark.slow
def test_default_connections(cluster: Cluster) -> None:
    environ = procfs.environ(cluster.raylet(HEAD))
    assert environ is not None
    assert not {object_manager.ENABLE_VARIABLE, object_manager.COUNT_VARIABLE} & environ.keys()
    nbytes = 12 * object_manager.CHUNK_BYTES
    assert connections_after(cluster, HEAD, WORKER, nbytes) == object_manager.DEFAULT_CONNECTIONS


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


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Served]:
    with running_service() as service:
        yield service


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
def test_serve_actor_names(served: Served) -> None:
    roles = [actor.role for actor in serve_actors.serve_actors()]
    assert roles.count(Role.CONTROLLER) == 1
    assert roles.count(Role.PROXY) >= 1
    assert roles.count(Role.REPLICA) == 2


@pytest.mark.slow
def test_replica_signs(served: Served) -> None:
    for replica in serve_actors.replica_actors():
        handle = serve_actors.serve_actor_handle(replica.actor)
        signs = ray.get(request_replica_signs(handle), timeout=DEADLINE_S)
        assert signs.keys() == set(OF_REPLICAS)
        assert (signs[Sign.HTTP_PORT], signs[Sign.USER_LOOP], signs[Sign.GRPC_CONNECTIONS]) == (0, 1, 0)
        assert signs[Sign.FROZEN_OBJECTS] > 0


@pytest.mark.slow
def test_direct_ingress(served: Served) -> None:
    """Serve knows of no replica that takes requests itself, as this is not turned on here."""
    assert replica_addresses() == []
    assert serve_actors.proxy_node() in {one["NodeID"] for one in ray.nodes()}


@pytest.mark.slow
def test_call_spans(served: Served) -> None:
    """A call, the choice of its replica, and the call that made it, each in its own process."""
    actors = {actor.deployment: actor.name for actor in serve_actors.replica_actors()}

    def new_spans() -> dict[str, list[serve_calls.CallSpan]]:
        handles = {deployment: serve_actors.serve_actor_handle(name) for deployment, name in actors.items()}
        return {
            deployment: ray.get(serve_calls.request_spans(handle), timeout=DEADLINE_S)
            for deployment, handle in handles.items()
        }

    new_spans()
    served.run(lambda stage: stage.identity.remote())
    spans = new_spans()
    (called,) = spans["Stage"]
    routing, calling = sorted(spans["Front"], key=lambda span: not span.is_routing)
    assert not called.is_routing
    assert (called.parent, routing.parent) == (routing.span, calling.span)
    assert called.trace == routing.trace == calling.trace
    assert calling.start_ns < routing.start_ns < called.end_ns < calling.end_ns
    assert new_spans() == {"Stage": [], "Front": []}


@pytest.mark.slow
def test_actor_call(served: Served) -> None:
    """Each of Serve's actors says which variables it has, and from which process."""
    for actor in serve_actors.serve_actors():
        handle = serve_actors.serve_actor_handle(actor.name)
        pid, variables = ray.get(request_variables(handle, ["PATH", "NONE_SUCH"]), timeout=DEADLINE_S)
        assert variables == {"PATH": node_environment(RuntimeConfig())["PATH"]}
        assert processes.TITLE_PREFIX in procfs.command(pid)[0]


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
def test_handle_by_reference(served: Served) -> None:
    """Also of a handle that passes values, whose responses have none."""

    async def test(stage: Any) -> tuple[str, bool]:
        passes_values = stage.options(_by_reference=False)
        try:
            await objects.response_reference(passes_values.make.remote(1000))
        except RuntimeError as error:
            said = str(error)
        reference = await objects.response_reference(objects.by_reference(passes_values).make.remote(1000))
        return said, isinstance(reference, ray.ObjectRef)

    said, is_reference = served.run(test)
    assert "by-value" in said
    assert is_reference


@pytest.mark.slow
def test_response_reference(served: Served) -> None:
    async def test(stage: Any) -> tuple[bool, int]:
        reference = await objects.response_reference(stage.make.remote(1_000_000))
        return isinstance(reference, ray.ObjectRef), (await reference).nbytes

    assert served.run(test) == (True, 1_000_000)


@pytest.mark.slow
def test_object_existence(served: Served) -> None:
    async def test(stage: Any) -> tuple[bool, bool]:
        response = stage.wait.remote()

        async def exists() -> None:
            # Before Ray 2.60 there is a reference only once there is an object.
            await objects.object_existence(await objects.response_reference(response))

        waiting = asyncio.create_task(exists())
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
    with environment(**dict.fromkeys(node.ADDRESS_VARIABLES, nowhere)):
        assert _client(cluster).ray_version == ray.__version__
        assert [os.environ[name] for name in node.ADDRESS_VARIABLES] == [nowhere] * 2


@pytest.mark.slow
def test_state_api_client(cluster: Cluster) -> None:
    found = api_server.list_alive_nodes(cluster.dashboard, None, most=10, timeout_s=DEADLINE_S)
    assert {one.node_ip: one.is_head_node for one in found} == {HEAD: True, WORKER: False}
    assert all(one.resources_total["object_store_memory"] == STORE_MB * 10**6 for one in found)


@pytest.fixture(scope="module")
def job_log(cluster: Cluster) -> list[str]:
    return log_of_a_stopped_job(_client(cluster))


@pytest.mark.slow
def test_job_stop(job_log: list[str]) -> None:
    assert "stopped by SIGINT" in job_log


@pytest.mark.slow
def test_log_line_limit(job_log: list[str]) -> None:
    assert "x" * jobs.LOG_LINE_LIMIT in job_log
