"""Ray's object manager: the two flags for connections between nodes, and the constants they work with."""

import re
from collections.abc import Mapping
from typing import Any

ENABLE_VARIABLE = "RAY_experimental_object_manager_enable_multiple_connections"
COUNT_VARIABLE = "RAY_object_manager_client_connection_num"
"""Environment variables that each raylet reads once, as it starts. Bad values are not refused: a count of 0
ends the raylet at the first transfer, and a misspelt name is ignored."""

DEFAULT_CONNECTIONS = 2
"""Connections to each peer if neither variable is set (ray pull request 61440)."""

CHUNK_BYTES = 5 * 2**20
"""``object_manager_default_chunk_size``: objects are sent in chunks, each over the next connection in turn.
A connection opens with the first chunk that is sent over it."""

PULL_TIMEOUT_VARIABLE = "RAY_object_manager_pull_timeout_ms"
PULL_TIMEOUT_S = 10.0
"""An object that has not come within this time is asked for again, and all of it is sent again; later repeats
wait longer. The variable sets another time."""

SPILLING_THRESHOLD = 0.8
"""``object_spilling_threshold``: above this share of its object store a node writes objects to disk."""

_METRIC = re.compile(r"ray_object_manager_(bytes|received_chunks)\{(.*)\} (\S+)")
_RECEIVED = {"bytes": 'Type="Received"', "received_chunks": 'Type="Total"'}


def received(metrics: str) -> tuple[float, float]:
    """Bytes and chunks that a node's raylet has received, by the node's metrics; 0 where they do not say.

    A raylet reports them every 10 s (``metrics_report_interval_ms``).
    """
    found = dict.fromkeys(_RECEIVED, 0.0)
    for name, labels, value in _METRIC.findall(metrics):
        if _RECEIVED[name] in labels:
            found[name] = float(value)
    return found["bytes"], found["received_chunks"]


def metrics_address(node: Mapping[str, Any]) -> tuple[str, int]:
    """Where a node of ``ray.nodes()`` serves its metrics, which need no token."""
    return node["NodeManagerAddress"], node["MetricsExportPort"]
