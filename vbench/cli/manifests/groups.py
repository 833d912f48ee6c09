"""The cluster's nodes as others know them: one head, and groups of equal workers."""

import re
from dataclasses import dataclass, replace

from vbench.config.schema import ClusterConfig, NodeConfig
from vbench.config.sizing import node_cpus
from vbench.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Nodes that differ in their name alone."""

    name: str
    """``chunk`` for chunk1 and chunk2."""
    node: NodeConfig
    count: int

    @property
    def cpus(self) -> int:
        """CPUs that Ray is told of."""
        return node_cpus(self.node)


def head_and_workers(cluster: ClusterConfig) -> tuple[Group, list[Group]]:
    """The first node, which is the head, and the groups of the others, in the order of their first node."""
    if not cluster.nodes:
        raise ConfigError(
            f"cluster={cluster.name} describes no nodes, because they are read from a cluster that runs:"
            f" choose cluster=aws."
        )
    (name, head), *others = cluster.nodes.items()
    groups: list[Group] = []
    for other, node in others:
        twin = next((index for index, group in enumerate(groups) if group.node == node), None)
        if twin is None:
            groups.append(Group(name=_base(other, [group.name for group in groups]), node=node, count=1))
        else:
            groups[twin] = replace(groups[twin], count=groups[twin].count + 1)
    return Group(name=name, node=head, count=1), groups


def _base(name: str, taken: list[str]) -> str:
    """The name without its number, unless another group has that."""
    base = re.sub(r"[-_]?\d+$", "", name).replace("_", "-") or name
    return name.replace("_", "-") if base in taken else base
