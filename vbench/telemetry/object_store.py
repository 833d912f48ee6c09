"""What the raylets say of their object stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import node_manager_pb2, node_manager_pb2_grpc

from vbench.linux.proxies import GRPC_OPTIONS

ANSWER_S = 30.0
"""A raylet that does not answer within this time is taken for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUse:
    """An object store at one moment."""

    used_bytes: int
    spilled_bytes: int
    """Since the node started."""
    fallback_bytes: int
    """On disk now because the store was full."""


class StoreWatch:
    """Asks all nodes at a time, each over one channel that stays open."""

    def __init__(self, addresses: Mapping[str, tuple[str, int]]) -> None:
        """``addresses``: node -> (``NodeManagerAddress``, ``NodeManagerPort``) of ``ray.nodes()``."""
        self._channels: dict[str, Any] = {
            node: init_grpc_channel(f"{host}:{port}", options=GRPC_OPTIONS)
            for node, (host, port) in addresses.items()
        }
        self._stubs = {
            node: node_manager_pb2_grpc.NodeManagerServiceStub(channel)
            for node, channel in self._channels.items()
        }

    def look(self) -> dict[str, StoreUse]:
        """Every node's store now; grpc.RpcError where a raylet does not answer."""
        question = node_manager_pb2.GetNodeStatsRequest(include_memory_info=False)
        waiting = {
            node: stub.GetNodeStats.future(question, timeout=ANSWER_S) for node, stub in self._stubs.items()
        }
        return {node: _use(answer.result().store_stats) for node, answer in waiting.items()}

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            channel.close()


def _use(stats: Any) -> StoreUse:
    return StoreUse(
        used_bytes=stats.object_store_bytes_used,
        spilled_bytes=stats.spilled_bytes_total,
        fallback_bytes=stats.object_store_bytes_fallback,
    )
