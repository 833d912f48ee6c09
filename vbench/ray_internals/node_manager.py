"""A raylet's statistics of its object store, over its own gRPC interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreStats:
    """An object store at one moment."""

    used_bytes: int
    spilled_bytes: int
    """Since the node started."""
    fallback_bytes: int
    """On disk now because the store was full."""
    created_bytes: int
    """Of all objects since the node started, copies from other nodes included."""


class NodeManagerClient:
    """One channel to a raylet, which stays open until ``close``."""

    def __init__(self, host: str, port: int, options: Sequence[tuple[str, Any]] = ()) -> None:
        """``host``, ``port``: ``NodeManagerAddress`` and ``NodeManagerPort`` of ``ray.nodes()``. ``options``:
        of the gRPC channel."""
        from ray._private.grpc_utils import init_grpc_channel
        from ray.core.generated import node_manager_pb2_grpc

        self._channel: Any = init_grpc_channel(f"{host}:{port}", options=options)
        self._stub = node_manager_pb2_grpc.NodeManagerServiceStub(self._channel)

    def object_store_stats(self, timeout_s: float) -> Callable[[], ObjectStoreStats]:
        """Send the request; what is returned waits for the response.

        grpc.RpcError if the raylet does not respond within ``timeout_s``. For each response a raylet asks all
        its workers.
        """
        from ray.core.generated import node_manager_pb2

        request = node_manager_pb2.GetNodeStatsRequest(include_memory_info=False)
        future = self._stub.GetNodeStats.future(request, timeout=timeout_s)

        def wait() -> ObjectStoreStats:
            stats = future.result().store_stats
            return ObjectStoreStats(
                used_bytes=stats.object_store_bytes_used,
                spilled_bytes=stats.spilled_bytes_total,
                fallback_bytes=stats.object_store_bytes_fallback,
                created_bytes=stats.cumulative_created_bytes,
            )

        return wait

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
