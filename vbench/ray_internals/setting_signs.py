"""What a setting does that can be seen from outside: its sign, beside the variable in an environment.

That a process has a variable proves that it could read it; a sign, that it did.
"""

from collections.abc import Mapping
from enum import StrEnum

from vbench.ray_internals.ingress import DIRECT_VARIABLE, HAPROXY_VARIABLE, OPTIMIZED_VARIABLE

CHUNK_SIZE_VARIABLE = "RAY_object_manager_default_chunk_size"
TRANSFER_THREADS_VARIABLE = "RAY_object_manager_rpc_threads_num"
GRPC_VARIABLE = "RAY_SERVE_USE_GRPC_BY_DEFAULT"
USER_LOOP_VARIABLE = "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD"
ROUTER_LOOP_VARIABLE = "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"
FREEZE_VARIABLE = "RAY_SERVE_FREEZE_GC_ON_STARTUP"


class Sign(StrEnum):
    """What is looked at, in each process that may show it."""

    CHUNK_BYTES = "bytes per chunk that a raylet received"
    TRANSFER_THREADS = "threads of a raylet that take chunks"
    GRPC_CONNECTIONS = "connections to a replica's gRPC port"
    HTTP_PORT = "HTTP port of a replica, 0 for none"
    HAPROXY_REQUESTS = "requests that HAProxy took"
    USER_LOOP = "event loops of a replica for the user's code alone"
    ROUTER_LOOP = "event loops of a replica for its handles alone"
    FROZEN_OBJECTS = "objects of a replica that the garbage collector leaves out"


OF_REPLICAS = (
    Sign.GRPC_CONNECTIONS,
    Sign.HTTP_PORT,
    Sign.USER_LOOP,
    Sign.ROUTER_LOOP,
    Sign.FROZEN_OBJECTS,
)

SIGNS: Mapping[str, Sign] = {
    CHUNK_SIZE_VARIABLE: Sign.CHUNK_BYTES,
    TRANSFER_THREADS_VARIABLE: Sign.TRANSFER_THREADS,
    GRPC_VARIABLE: Sign.GRPC_CONNECTIONS,
    DIRECT_VARIABLE: Sign.HTTP_PORT,
    HAPROXY_VARIABLE: Sign.HAPROXY_REQUESTS,
    USER_LOOP_VARIABLE: Sign.USER_LOOP,
    ROUTER_LOOP_VARIABLE: Sign.ROUTER_LOOP,
    FREEZE_VARIABLE: Sign.FROZEN_OBJECTS,
}
"""Setting -> its sign. Connections between nodes are a sign too, and are counted in every trial."""

IMPLIED: Mapping[str, Mapping[str, str]] = {
    OPTIMIZED_VARIABLE: {
        USER_LOOP_VARIABLE: "0",
        ROUTER_LOOP_VARIABLE: "0",
        GRPC_VARIABLE: "1",
        DIRECT_VARIABLE: "1",
        FREEZE_VARIABLE: "1",
    }
}
"""Setting -> what it sets if it is 1 and these are not given (``ray/serve/_private/constants.py``)."""


def effective(env: Mapping[str, str]) -> dict[str, str]:
    """These variables, and those that they set."""
    settings = dict(env)
    for name, others in IMPLIED.items():
        if env.get(name) == "1":
            settings = {**others, **settings}
    if env.get(HAPROXY_VARIABLE) == "1":
        settings[DIRECT_VARIABLE] = "1"
    return settings


def signs_of(env: Mapping[str, str]) -> set[Sign]:
    """Those that these variables should show."""
    return {SIGNS[name] for name in effective(env) if name in SIGNS}
