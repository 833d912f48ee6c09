"""Which replica this code runs in, for the spans it records."""

import ray
from ray import serve

from vbench.pipeline.spans import Place


def place() -> Place:
    """This replica and its Ray node. Only inside a Serve replica."""
    replica_id = serve.get_replica_context().replica_id
    return Place(
        node=ray.get_runtime_context().get_node_id(),
        replica=f"{replica_id.deployment_id.name}#{replica_id.unique_id}",
    )
