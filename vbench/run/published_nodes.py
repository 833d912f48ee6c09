"""Which option ``cluster=attached`` stands for: one that finds the nodes, or the five published nodes."""

from collections.abc import Sequence

from vbench.clusters.attached.validate import ATTACHED

FINDS_NODES = f"cluster={ATTACHED}"
"""The option without nodes, which are then read from Ray."""

HAS_NODES = f"cluster={ATTACHED}_aws"
"""The option with the published nodes, which the command line may change."""

NODES = "cluster.nodes."


def with_published_nodes(choices: Sequence[str], overrides: Sequence[str] | None = None) -> list[str]:
    """``choices``, with the option of the published nodes if one of ``overrides``, by default themselves,
    changes, adds or deletes a node.

    So a command line that describes its nodes means what it did before nodes could be read from Ray.
    """
    names_nodes = any(line.lstrip("+~").startswith(NODES) for line in overrides or choices)
    return [HAS_NODES if names_nodes and line == FINDS_NODES else line for line in choices]
