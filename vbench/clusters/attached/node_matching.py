"""Matches the nodes of a running cluster with those of the configuration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vbench.clusters.base import NodeAddress
from vbench.config.schema import NodeConfig
from vbench.errors import InputError

STORE = "object_store_memory"
"""Ray's name of the resource, in bytes."""

INFEASIBLE = 10**6
"""Cost of a node that does not fit: more than that of all others together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A node as its cluster lists it."""

    ip: str
    is_head: bool
    resources: Mapping[str, float]
    """In all, used or not."""


def address_order(ip: str) -> tuple[int, ...]:
    """The key that sorts addresses by number."""
    return tuple(int(part) for part in ip.split(".") if part.isdigit())


def match(nodes: Mapping[str, NodeConfig], alive: Sequence[ClusterNode], address: str) -> list[NodeAddress]:
    """Each node of the configuration, head first, with a node of the cluster that has its resources.

    InputError if no node fits, or the cluster has nodes that the configuration does not name: they could take
    part without being sampled. Of several that fit, the one with the lowest address is used.
    """
    names = list(nodes)
    available = sorted(alive, key=lambda node: address_order(node.ip))
    costs = np.array(
        [
            [
                column if not list(_unmet(nodes[name], here, head=position == 0)) else INFEASIBLE
                for column, here in enumerate(available)
            ]
            for position, name in enumerate(names)
        ]
    ).reshape(len(names), len(available))
    rows, columns = linear_sum_assignment(costs)
    pairs = {
        names[row]: available[column]
        for row, column in zip(rows, columns, strict=True)
        if costs[row, column] < INFEASIBLE
    }
    for position, name in enumerate(names):
        if name not in pairs:
            raise InputError(_unmatched(name, nodes[name], available, pairs, address, head=position == 0))
    extra = [node for node in available if node not in pairs.values()]
    if extra:
        raise InputError(
            f"cluster.address={address} has {len(available)} nodes, but cluster.nodes names {len(names)}:"
            f" {', '.join(node.ip for node in extra)} would take part without being sampled; add it to"
            " cluster.nodes, or remove it from the cluster."
        )
    return [NodeAddress(name=name, ip=pairs[name].ip) for name in names]


def _unmet(node: NodeConfig, candidate: ClusterNode, *, head: bool) -> Iterator[str]:
    """What a node of the cluster lacks to be this node of the configuration."""
    if candidate.is_head != head:
        yield "a head" if head else "a node that is not the head"
        return
    asked: dict[str, float] = {"GPU": node.gpus, STORE: node.object_store_mb * 1e6, **node.resources}
    if node.cpus is not None:
        asked["CPU"] = node.cpus
    for resource, amount in asked.items():
        has = candidate.resources.get(resource, 0)
        if has < amount:
            unit = (1e6, " MB of object store") if resource == STORE else (1, f" {resource}")
            yield f"{amount / unit[0]:g}{unit[1]} (has {has / unit[0]:g})"


def _unmatched(
    name: str,
    node: NodeConfig,
    available: Sequence[ClusterNode],
    pairs: Mapping[str, ClusterNode],
    address: str,
    *,
    head: bool,
) -> str:
    """The error message, which names the closest node and what it lacks."""
    taken = list(pairs.values())
    free = [candidate for candidate in available if candidate not in taken and candidate.is_head == head]
    lacks = [(candidate.ip, list(_unmet(node, candidate, head=head))) for candidate in free]
    if not lacks:
        reason = f"all its {len(available)} nodes are assigned to others" if available else "it has no nodes"
    else:
        ip, missing = min(lacks, key=lambda unmet: len(unmet[1]))
        reason = f"the closest is {ip}, which lacks {', '.join(missing)}"
    return (
        f"cluster.address={address} has no node for cluster.nodes.{name}: {reason}; start a node with"
        f" these resources, or change cluster.nodes.{name}."
    )
