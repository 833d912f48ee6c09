"""Samples of the cluster's nodes while requests run: CPU, memory, NIC, links, connections, object store."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from vbench.clusters.base import ClusterEndpoint, NodeAddress
from vbench.errors import SEE_RAY_LOG, TrialError
from vbench.linux import nics
from vbench.linux.tcp_connections import PeerConnections, TcpConnections, tcp_connections_of
from vbench.ray_internals.node_manager import ObjectStoreStats
from vbench.record.network import LinkSample
from vbench.record.samples import NodeSample
from vbench.telemetry.node_processes import NodeProcesses
from vbench.telemetry.object_store import StoreWatch
from vbench.telemetry.periodic import repeated
from vbench.telemetry.raylet_end import raylet_end_reported

STORE_PERIOD_S = 1.0
"""The stores are not sampled more often, since for each response a raylet asks all its workers. In between,
the last response counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayNode:
    """The addresses of one node, as Ray knows them."""

    ip: str
    manager_port: int
    object_port: int


def ray_nodes(alive: Sequence[Mapping[str, Any]]) -> list[RayNode]:
    """From the result of ``ray.nodes()``."""
    return [
        RayNode(
            ip=node["NodeManagerAddress"],
            manager_port=node["NodeManagerPort"],
            object_port=node["ObjectManagerPort"],
        )
        for node in alive
        if node["Alive"]
    ]


class NodeSampler:
    """Samples nodes whose processes this one can see, which is in one PID namespace with them."""

    def __init__(
        self,
        endpoint: ClusterEndpoint,
        nodes: Sequence[RayNode],
        period_s: float,
        raylets: Mapping[str, int],
        roots: Sequence[int] = (),
    ) -> None:
        """``raylets``: process id of the raylet of each node that is sampled, out of all of ``endpoint``.

        ``roots``: processes that, with all below them, are the one node sampled; if nodes are network
        namespaces, or all is below the raylet's parent and this process, that is seen without. TrialError
        if a node of ``endpoint`` is unknown to Ray.
        """
        self.samples: list[NodeSample] = []
        self._endpoint = endpoint
        self._period_s = period_s
        by_ip = {node.ip: node for node in nodes}
        unknown = [node.name for node in endpoint.nodes if node.ip not in by_ip]
        if unknown:
            raise TrialError(
                f"Ray does not know {', '.join(unknown)}, so its object store cannot be sampled;"
                f" {SEE_RAY_LOG}"
            )
        self._raylets = raylets
        self._watched = [node for node in endpoint.nodes if node.name in raylets]
        self._ports = {(node.ip, by_ip[node.ip].object_port): node.name for node in endpoint.nodes}
        self._stores = {node.name: (node.ip, by_ip[node.ip].manager_port) for node in self._watched}
        self._processes = NodeProcesses(raylets, shaped=bool(endpoint.links), roots=roots)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample when the block begins, while it runs, and when it ends; an error of a sample is raised here.

        TrialError if a raylet ended meanwhile and anything failed after that."""
        with raylet_end_reported(self._raylets), ExitStack() as stack:
            self._store = StoreWatch(self._stores)
            stack.callback(self._store.close)
            self._store_use: dict[str, ObjectStoreStats] = {}
            self._store_due_s = 0.0
            self._connections: dict[str, TcpConnections] = {}
            self._links: Any = None
            if self._endpoint.links:
                # Only an emulated cluster has shaped links, and the packages to sample them.
                from vbench.telemetry.link_queues import watching

                self._links = stack.enter_context(watching(self._raylets))
            if len(self._endpoint.nodes) > 1:
                self._connections = {
                    name: stack.enter_context(tcp_connections_of(pid)) for name, pid in self._raylets.items()
                }
            stack.enter_context(repeated(self._sample_all, self._period_s))
            yield

    def _sample_all(self) -> None:
        if time.monotonic() >= self._store_due_s:
            self._store_use = self._store.sample()
            self._store_due_s = time.monotonic() + STORE_PERIOD_S - self._period_s / 2
        links: Mapping[str, LinkSample] = self._links.sample() if self._links is not None else {}
        cpu_s, private = self._processes.sample()
        for node in self._watched:
            self.samples.append(self._sample(node, links.get(node.name), cpu_s, private))

    def _sample(
        self,
        node: NodeAddress,
        link: LinkSample | None,
        cpu_s: Mapping[str, float],
        private: Mapping[str, int],
    ) -> NodeSample:
        pid = self._raylets[node.name]
        traffic = self._connections[node.name].traffic_by_peer() if self._connections else {}
        none = PeerConnections()
        peers = {
            peer: traffic.get(address, none) for address, peer in self._ports.items() if peer != node.name
        }
        shared = os.statvfs(f"/proc/{pid}/root/dev/shm")
        store = self._store_use[node.name]
        began_s = time.monotonic()
        nic = nics.nic_bytes(pid)
        at_s = time.monotonic()
        return NodeSample(
            node=node.name,
            at_s=at_s,
            began_s=began_s,
            cpu_s=cpu_s[node.name],
            memory_mb=(private[node.name] + (shared.f_blocks - shared.f_bfree) * shared.f_frsize) / 1e6,
            nic_sent_bytes=nic.sent,
            nic_received_bytes=nic.received,
            link=link,
            connections={peer: found.count for peer, found in peers.items()},
            object_bytes={peer: found.sent_bytes for peer, found in peers.items()},
            object_store_used_mb=store.used_bytes / 1e6,
            spilled_mb=store.spilled_bytes / 1e6,
            fallback_mb=store.fallback_bytes / 1e6,
        )
