"""Looks for the signs of a runtime's settings in raylets, replicas and HAProxy, after the last request."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import ray

from vbench.ray_internals import haproxy
from vbench.ray_internals.actor_environment import request_replica_signs
from vbench.ray_internals.object_manager import metrics_address, received
from vbench.ray_internals.serve import proxy_node, replica_actors, serve_actor_handle
from vbench.ray_internals.setting_signs import OF_REPLICAS, Sign
from vbench.record.load_report import NodeRuntime, SettingSign

RAYLET = "raylet"
ANSWER_S = 30.0
"""Time within which an idle replica reports its signs."""
METRICS_S = 5.0
REPORTED_S = 12.0
"""Raylets report what they have received every 10 s."""
POLL_S = 0.5


def setting_signs(
    signs: Iterable[Sign], nodes: Mapping[str, str], raylets: Sequence[NodeRuntime]
) -> list[SettingSign]:
    """Those that are looked for, in every process that may show one. ``nodes``: Ray's node id -> name."""
    wanted = set(signs)
    seen: list[SettingSign] = []
    if Sign.TRANSFER_THREADS in wanted:
        seen += [_of_raylet(Sign.TRANSFER_THREADS, one.node, one.transfer_threads or None) for one in raylets]
    if Sign.CHUNK_BYTES in wanted:
        seen += [_of_raylet(Sign.CHUNK_BYTES, name, value) for name, value in _chunk_bytes(nodes).items()]
    if wanted & set(OF_REPLICAS):
        seen += [one for one in _of_replicas(nodes) if one.sign in wanted]
    if Sign.HAPROXY_REQUESTS in wanted:
        seen += _of_haproxy(nodes)
    return seen


def _of_raylet(sign: Sign, node: str, value: float | None) -> SettingSign:
    return SettingSign(sign=sign, node=node, process=RAYLET, value=value)


def _chunk_bytes(nodes: Mapping[str, str]) -> dict[str, float | None]:
    """Node -> bytes per received chunk; waits until a node has reported some, if they can have moved."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    deadline = time.monotonic() + (REPORTED_S if len(alive) > 1 else 0.0)
    while True:
        counts = {nodes.get(one["NodeID"], one["NodeID"]): _received(one) for one in alive}
        if any(chunks for _, chunks in counts.values()) or time.monotonic() > deadline:
            return {name: nbytes / chunks if chunks else None for name, (nbytes, chunks) in counts.items()}
        time.sleep(POLL_S)


def _received(node: Mapping[str, Any]) -> tuple[float, float]:
    host, port = metrics_address(node)
    try:
        with build_opener(ProxyHandler({})).open(f"http://{host}:{port}/metrics", timeout=METRICS_S) as page:
            return received(page.read().decode(errors="replace"))
    except (OSError, URLError):
        return 0.0, 0.0


def _of_replicas(nodes: Mapping[str, str]) -> list[SettingSign]:
    replicas = replica_actors()
    requests = [request_replica_signs(serve_actor_handle(one.actor)) for one in replicas]
    if requests:
        ray.wait(requests, num_returns=len(requests), timeout=ANSWER_S)
    seen = []
    for replica, request in zip(replicas, requests, strict=True):
        try:
            values: Mapping[str, float] = ray.get(request, timeout=0)
        except ray.exceptions.RayError:
            values = {}
        node = nodes.get(replica.node_id, replica.node_id)
        seen += [
            SettingSign(sign=sign, node=node, process=replica.replica, value=values.get(sign))
            for sign in OF_REPLICAS
        ]
    return seen


def _of_haproxy(nodes: Mapping[str, str]) -> list[SettingSign]:
    node_id = proxy_node()
    try:
        requests: float | None = haproxy.read_stats(node_id).requests
    except OSError:
        requests = None
    node = nodes.get(node_id, node_id)
    return [SettingSign(sign=Sign.HAPROXY_REQUESTS, node=node, process="HAProxy", value=requests)]
