"""Between which two nodes of a cluster ``load=transfer`` moves objects, and what it needs of them."""

from collections.abc import Iterator

from vbench.config.schema import ClusterConfig, Config
from vbench.ray_internals.object_manager import SPILLING_THRESHOLD

TRANSFER = "transfer"
"""``load.name`` of the load that moves objects and has no video."""

ROUNDS = 2
"""Requests whose objects a store must hold: one's may still be on their way out when the next's come."""


def transfer_endpoints(cluster: ClusterConfig) -> tuple[str, str]:
    """Names of the sender and the receiver, where frames would go from a decoder to the model.

    The sender is the node with ``decode_only``, else the last; the receiver the node with ``infer_only``,
    else the first that is neither the head nor the sender, else the head.
    """
    names = list(cluster.nodes)
    if len(names) < 2:
        raise ValueError(f"a transfer needs two nodes, and there are {len(names)}")
    receiver = _holder(cluster, "infer_only")
    sender = _holder(cluster, "decode_only") or next(name for name in reversed(names) if name != receiver)
    if receiver is None or receiver == sender:
        receiver = next(name for name in (*names[1:], names[0]) if name != sender)
    return sender, receiver


def _holder(cluster: ClusterConfig, resource: str) -> str | None:
    return next((name for name, node in cluster.nodes.items() if resource in node.resources), None)


def object_bytes(config: Config) -> int:
    """Size of one object, in whole bytes."""
    return round(config.load.object_mb * 1e6)


def problems(config: Config) -> Iterator[str]:
    """One sentence for each thing that keeps ``load=transfer`` from running; none for other loads."""
    load, cluster = config.load, config.cluster
    if load.name != TRANSFER:
        return
    for key, value in (("load.object_mb", load.object_mb), ("load.objects", load.objects)):
        if not value > 0:
            yield f"{key}={value} must be above 0."
            return
    if load.concurrency != 1:
        yield (
            f"load.concurrency={load.concurrency} does not go with load=transfer, which sends one request"
            f" at a time: leave it at 1, and raise load.objects for more side by side."
        )
    if len(cluster.nodes) < 2:
        yield (
            f"load=transfer needs two nodes to move objects between, and cluster={cluster.name} has"
            f" {len(cluster.nodes)}: choose cluster=emulated."
        )
        return
    needed_mb = ROUNDS * load.objects * load.object_mb
    name = min(transfer_endpoints(cluster), key=lambda end: cluster.nodes[end].object_store_mb)
    store_mb = cluster.nodes[name].object_store_mb
    if needed_mb > SPILLING_THRESHOLD * store_mb:
        yield (
            f"load.objects={load.objects} of load.object_mb={load.object_mb:g} do not fit into {name}:"
            f" {ROUNDS} requests are {needed_mb:g} MB, and {SPILLING_THRESHOLD:.0%} of"
            f" cluster.nodes.{name}.object_store_mb={store_mb} may be used;"
            f" lower the ones or raise the other."
        )
