"""Samples of the cluster's nodes while requests run: CPU, memory, NIC, links, connections, object store."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from vbench import procfs
from vbench.errors import TrialError
from vbench.load.job import NodePlace, Place
from vbench.record import LinkSample, NodeSample
from vbench.telemetry import flags, sockets
from vbench.telemetry.store import StoreUse, StoreWatch
from vbench.telemetry.watch import repeated

STORE_PERIOD_S = 1.0
"""The stores are asked no more often: for each answer a raylet asks all its workers. In between, the last
answer stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayNode:
    """What Ray says of one node."""

    ip: str
    manager_port: int
    object_port: int


def ray_nodes(alive: Sequence[Mapping[str, Any]]) -> list[RayNode]:
    """From what ``ray.nodes()`` gives."""
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
    """Samples all nodes whose processes this one can see, which is in one PID namespace with them."""

    def __init__(self, place: Place, nodes: Sequence[RayNode], period_s: float) -> None:
        """TrialError where a node of ``place`` has no raylet here, or is unknown to Ray."""
        self.samples: list[NodeSample] = []
        self._place = place
        self._period_s = period_s
        by_ip = {node.ip: node for node in nodes}
        pids = dict(flags.raylets(place.temp_dir))
        missing = [node.name for node in place.nodes if node.ip not in pids or node.ip not in by_ip]
        if missing:
            raise TrialError(f"no raylet of {', '.join(missing)} was found: its processes cannot be watched")
        self._raylets = {node.name: pids[node.ip] for node in place.nodes}
        self._ports = {(node.ip, by_ip[node.ip].object_port): node.name for node in place.nodes}
        self._stores = {node.name: (node.ip, by_ip[node.ip].manager_port) for node in place.nodes}
        self._processes = _Processes(self._raylets, shaped=place.shaped)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample as the block begins, while it runs, and as it ends; what a sample raised is raised here."""
        with ExitStack() as stack:
            self._store = StoreWatch(self._stores)
            stack.callback(self._store.close)
            self._store_use: dict[str, StoreUse] = {}
            self._store_due_s = 0.0
            self._links: Any = None
            if self._place.shaped:
                # Only an emulated cluster has them, and needs what they need.
                from vbench.clusters.emulated.queues import watching

                self._links = stack.enter_context(watching(self._raylets))
            stack.enter_context(repeated(self._look, self._period_s))
            yield

    def _look(self) -> None:
        if time.monotonic() >= self._store_due_s:
            self._store_use = self._store.look()
            self._store_due_s = time.monotonic() + STORE_PERIOD_S - self._period_s / 2
        links: Mapping[str, LinkSample] = self._links.look() if self._links is not None else {}
        cpu_s, private = self._processes.look()
        for node in self._place.nodes:
            self.samples.append(self._sample(node, links.get(node.name), cpu_s, private))

    def _sample(
        self,
        node: NodePlace,
        link: LinkSample | None,
        cpu_s: Mapping[str, float],
        private: Mapping[str, int],
    ) -> NodeSample:
        pid = self._raylets[node.name]
        peers = sockets.established(pid)
        shared = os.statvfs(f"/proc/{pid}/root/dev/shm")
        store = self._store_use[node.name]
        nic = sockets.nic_bytes(pid)
        return NodeSample(
            node=node.name,
            at_s=time.monotonic(),
            unix_s=time.time(),
            cpu_s=cpu_s[node.name],
            memory_mb=(private[node.name] + (shared.f_blocks - shared.f_bfree) * shared.f_frsize) / 1e6,
            nic_sent_bytes=nic.sent,
            nic_received_bytes=nic.received,
            loopback_bytes=nic.loopback,
            link=link,
            connections={peer: peers[address] for address, peer in self._ports.items() if peer != node.name},
            object_store_used_mb=store.used_bytes / 1e6,
            spilled_mb=store.spilled_bytes / 1e6,
            fallback_mb=store.fallback_bytes / 1e6,
            gpu_percent=None,
        )


class _Processes:
    """Tells which processes are of which node."""

    def __init__(self, raylets: Mapping[str, int], *, shaped: bool) -> None:
        self._raylets = raylets
        self._shaped = shaped
        self._spaces = {sockets.namespace(pid): node for node, pid in raylets.items()} if shaped else {}
        self._known: dict[tuple[int, int], str | None] = {}
        """(pid, start) -> node; a process stays in the namespace it has begun in."""
        self._most_s = dict.fromkeys(raylets, 0.0)

    def look(self) -> tuple[dict[str, float], dict[str, int]]:
        """CPU seconds and bytes of private memory of each node's processes.

        A process that has ended counts with the parent that waited for it. What is lost when nobody of the
        node did is not taken back from the sum.
        """
        stats = procfs.all_stats()
        private = dict.fromkeys(self._raylets, 0)
        cpu_s = dict.fromkeys(self._raylets, 0.0)
        for pid, node in self._nodes(stats).items():
            cpu_s[node] += stats[pid].cpu_s
            private[node] += procfs.private_bytes(pid)
        self._most_s = {node: max(cpu_s[node], before) for node, before in self._most_s.items()}
        return self._most_s, private

    def _nodes(self, stats: Mapping[int, procfs.Stat]) -> dict[int, str]:
        if not self._shaped:
            ((node, raylet),) = self._raylets.items()
            # ``ray start`` is the parent of all that a node consists of; the load process is beside it.
            roots = [stats[raylet].parent, os.getpid()] if raylet in stats else []
            return dict.fromkeys(procfs.descendants(stats, roots), node)
        keys = {(pid, line.started): pid for pid, line in stats.items()}
        self._known = {
            key: self._known[key] if key in self._known else self._spaces.get(sockets.namespace(pid))
            for key, pid in keys.items()
        }
        return {keys[key]: node for key, node in self._known.items() if node is not None}
