"""How requests come into Serve: through its proxy, through HAProxy, or straight to replicas."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vbench.ray_internals.serve import REPLICA_PREFIX, controller_handle

HAPROXY_VARIABLE = "RAY_SERVE_ENABLE_HA_PROXY"
DIRECT_VARIABLE = "RAY_SERVE_ENABLE_DIRECT_INGRESS"
OPTIMIZED_VARIABLE = "RAY_SERVE_THROUGHPUT_OPTIMIZED"

_ON = "1"


class Ingress(StrEnum):
    """What takes the requests of clients."""

    PROXY = "Serve's proxy"
    HAPROXY = "HAProxy"
    """A process of HAProxy's own, in the proxy's place. It passes requests on to the replicas' ports."""
    REPLICAS = "the replicas"
    """A port of each replica of the first deployment. Whoever sends requests spreads them over these; Serve's
    proxy runs beside them."""


def ingress_of(env: Mapping[str, str]) -> Ingress:
    """What takes requests with these variables."""
    if env.get(HAPROXY_VARIABLE) == _ON:
        return Ingress.HAPROXY
    if env.get(DIRECT_VARIABLE, env.get(OPTIMIZED_VARIABLE)) == _ON:
        return Ingress.REPLICAS
    return Ingress.PROXY


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaAddress:
    """Where a replica takes HTTP requests itself."""

    actor: str
    """The name of its actor."""
    ip: str
    """Of its node. Serve's ``http_options.host`` says on which of the node's addresses it listens."""
    port: int


def replica_addresses() -> list[ReplicaAddress]:
    """Of the running replicas that take requests themselves: those of each application's first deployment,
    with ``HAPROXY`` or ``REPLICAS``."""
    import ray
    from ray.serve._private.common import RequestProtocol

    from_proxy_manager = True
    groups = ray.get(controller_handle().get_target_groups.remote(None, from_proxy_manager))
    return [
        ReplicaAddress(actor=target.name, ip=target.ip, port=target.port)
        for group in groups
        if group.protocol == RequestProtocol.HTTP
        for target in group.targets
        if target.name.startswith(REPLICA_PREFIX)
    ]
