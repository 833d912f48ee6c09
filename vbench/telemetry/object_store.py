"""Samples of the nodes' object stores, by their raylets."""

from collections.abc import Mapping

from vbench.linux.proxies import GRPC_OPTIONS
from vbench.ray_internals.node_manager import NodeManagerClient, ObjectStoreStats

RPC_TIMEOUT_S = 30.0
"""A raylet that does not respond within this time is given up."""


class StoreWatch:
    """Samples all nodes at the same time, each over one channel that stays open."""

    def __init__(self, addresses: Mapping[str, tuple[str, int]]) -> None:
        """``addresses``: node -> (``NodeManagerAddress``, ``NodeManagerPort``) of ``ray.nodes()``."""
        self._raylets = {
            node: NodeManagerClient(host, port, GRPC_OPTIONS) for node, (host, port) in addresses.items()
        }

    def sample(self) -> dict[str, ObjectStoreStats]:
        """Every node's store now; grpc.RpcError if a raylet does not respond."""
        waiting = {node: raylet.object_store_stats(RPC_TIMEOUT_S) for node, raylet in self._raylets.items()}
        return {node: wait() for node, wait in waiting.items()}

    def close(self) -> None:
        """Close the channels."""
        for raylet in self._raylets.values():
            raylet.close()
