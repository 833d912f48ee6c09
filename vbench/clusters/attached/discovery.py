"""The nodes of a running cluster as a configuration: names by role, and resources as Ray has them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from vbench.clusters.attached.node_matching import STORE, ClusterNode, address_order
from vbench.config.schema import NodeConfig
from vbench.errors import InputError
from vbench.ray_internals.node import SMALLEST_OBJECT_STORE_MB

CHUNK, DECODE, INFER = "chunk_only", "decode_only", "infer_only"
"""Resources that mark a node as one for the service, for decoders, or for the model."""

HEAD = "head"

GPU, OTHER = "gpu", "node"
"""Names of nodes with a GPU, and of nodes without any role."""

NAMES = {INFER: "infer", CHUNK: "chunk", DECODE: "decode"}
"""Resource -> name of the nodes that have it."""

ORDER = (GPU, *NAMES.values(), OTHER)
"""Of the names, as in the published cluster."""

NOT_CUSTOM = ("CPU", "GPU", "memory", STORE)
"""Resources that every node has, or that ``NodeConfig`` has fields for."""

OF_RAY = ("node:", "accelerator_type:")
"""Beginnings of the names of resources that Ray gives to nodes itself."""


def describe(alive: Sequence[ClusterNode], address: str) -> dict[str, NodeConfig]:
    """The nodes of a cluster by name, head first, whatever the order of the list.

    InputError if two nodes have the same address, or no node is the head.
    """
    _check_told_apart(alive, address)
    head = next((node for node in alive if node.is_head), None)
    if head is None:
        raise InputError(
            f"cluster.address={address} lists no head among its {len(alive)} nodes: check 'ray status' on its"
            f" head, and run the trial again."
        )
    described = [(node, _as_configured(node)) for node in alive if node is not head]
    described.sort(key=lambda pair: _order(*pair))
    roles = [_role(config) for _, config in described]
    count, numbers = Counter(roles), Counter[str]()
    nodes = {HEAD: _as_configured(head)}
    for role, (_, config) in zip(roles, described, strict=True):
        numbers[role] += 1
        nodes[f"{role}{numbers[role]}" if count[role] > 1 or role == OTHER else role] = config
    return nodes


def _check_told_apart(alive: Iterable[ClusterNode], address: str) -> None:
    for ip, count in Counter(node.ip for node in alive).items():
        if count > 1:
            raise InputError(
                f"cluster.address={address} has {count} nodes with the address {ip}, by which vbench tells"
                f" nodes apart: start each with an address of its own, on one machine with"
                f" 'ray start --node-ip-address=127.0.0.3' and so on."
            )


def _as_configured(node: ClusterNode) -> NodeConfig:
    custom = {
        name: float(amount)
        for name, amount in sorted(node.resources.items())
        if name not in NOT_CUSTOM and not name.startswith(OF_RAY)
    }
    return NodeConfig(
        cpus=int(node.resources.get("CPU", 0)),
        gpus=int(node.resources.get("GPU", 0)),
        object_store_mb=_rounded_down(node.resources.get(STORE, 0) / 1e6),
        resources=custom,
    )


def _rounded_down(megabytes: float) -> int:
    """To two digits: Ray takes a share of the memory that is free as it starts, which is never the same."""
    whole = int(megabytes)
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return max(whole // step * step, min(whole, SMALLEST_OBJECT_STORE_MB))


def _role(node: NodeConfig) -> str:
    return GPU if node.gpus else next((NAMES[key] for key in NAMES if key in node.resources), OTHER)


def _order(node: ClusterNode, config: NodeConfig) -> tuple[object, ...]:
    """By role, then the largest first, then by address: the same after a restart with other addresses."""
    size = (-config.gpus, -(config.cpus or 0), sorted(config.resources.items()))
    return (ORDER.index(_role(config)), size, address_order(node.ip))


def changes(before: Mapping[str, NodeConfig], now: Mapping[str, NodeConfig]) -> list[str]:
    """What differs between two descriptions of a cluster, one phrase for each node; stores may differ by what
    is lost in rounding."""
    phrases = [f"{name} is gone" for name in before if name not in now]
    phrases += [f"{name} is new" for name in now if name not in before]
    for name, was in before.items():
        if name not in now:
            continue
        has = now[name]
        for key, old, new in (
            ("cpus", was.cpus, has.cpus),
            ("gpus", was.gpus, has.gpus),
            ("resources", was.resources, has.resources),
        ):
            if old != new:
                phrases.append(f"{name} has {key}={new} instead of {old}")
        if has.object_store_mb < was.object_store_mb:
            phrases.append(
                f"{name} has object_store_mb={has.object_store_mb} instead of {was.object_store_mb}"
            )
    return phrases
