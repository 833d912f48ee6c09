"""How a node of Ray is started and found: variables, files, the line that says it is up, health checks."""

from collections.abc import Mapping
from pathlib import Path

NODE_VARIABLES: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""For every process of a node: no usage reports, no log line left out, no wait of 30 s for other nodes at
the end, and GPUs that stay visible to tasks that ask for none."""

AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Variables by which a process authenticates itself to a cluster."""

ADDRESS_VARIABLES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Environment variables that overrule the address which a client is given."""

SET_BY_RAY = frozenset({"RAY_CLIENT_MODE", "RAY_JOB_ID", "RAY_NODE_ID", "RAY_RAYLET_PID"})
"""Variables that Ray sets for itself in a process that uses it, which what that process starts inherits."""

LONGEST_SOCKET = 67
"""Characters of the path of Ray's longest socket below a temp dir, at most: ``/session_`` with date, time and
process id of 7 digits (43), and ``/sockets/plasma_store`` or a little more."""

STARTED_LINE = "Ray runtime started"
"""``ray start`` prints it once the raylet accepts connections and the control store knows the node."""

ESSENTIAL_PROCESSES = frozenset({"raylet", "gcs_server"})
"""Names of a head's processes without which ``ray start --block`` ends; it checks once a second."""

HEAD_RESOURCE = "node:__internal_head__"
"""Resource that only the head has: whatever asks for some of it runs there."""

NODE_LABEL = "ray.io/node-id"
"""Label that Ray gives each node: its id. ``in(ID,ID)`` selects several."""

GCS_PORT = 6379
"""Default port of the head's control store."""
AGENT_PORT = 52365
"""Default HTTP port of the dashboard agent, which runs on every node."""
RAYLET_HEALTH_PATH = "/api/local_raylet_healthz"
"""Of the agent: status 200 while the raylet of its node lives."""
GCS_HEALTH_PATH = "/api/gcs_healthz"
"""Of the head's dashboard: status 200 while the control store answers."""

LEAST_RESOURCE = 0.0001
"""Ray counts resources in ten-thousandths."""
MOST_RESOURCE = 100e12
"""Of one resource on a node (``MAX_RESOURCE_QUANTITY``)."""
SMALLEST_OBJECT_STORE_MB = 80
"""Ray does not start with less than 75 MiB."""

PRELOADED_LIBRARY = "/ray/core/libjemalloc.so"
"""End of the path of a library that Ray preloads (LD_PRELOAD) into its own processes."""


def session_folder(temp_dir: Path | str) -> Path:
    """The folder of the latest session in a temp dir; Ray opens it to all users."""
    return Path(temp_dir) / "session_latest"


def raylet_socket(temp_dir: Path | str) -> str:
    """Path of the socket on which the raylet listens once it is up."""
    return str(session_folder(temp_dir) / "sockets" / "raylet")
