"""Where a trial's requests go: to Serve's proxy, to HAProxy, or to each replica in turn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from vbench.config.schema import Config
from vbench.errors import TrialError
from vbench.ray_internals.haproxy import HAProxyStats, read_stats, server_name
from vbench.ray_internals.ingress import Ingress, ReplicaAddress, ingress_of, replica_addresses
from vbench.ray_internals.serve import proxy_node, proxy_pids, replica_actors

HOST = "127.0.0.1"
EVERY_ADDRESS = "0.0.0.0"
POLL_S = 0.1
KNOWN_S = 60.0
"""Time within which HAProxy passes requests on to every replica that runs: it starts anew with each change,
and asks each replica twice whether it is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where requests go, in turn, and who may listen there."""

    urls: tuple[str, ...]
    ports: tuple[int, ...]
    """Of those on ``HOST``."""
    pids: tuple[int, ...]
    """Actors that, or whose children, may listen on these ports."""


def listening_host(config: Config) -> str:
    """The address on which Serve listens, and replicas that take requests themselves.

    These can be on any node. Then so many addresses are open to everyone in the cluster's network.
    """
    is_alone = len(config.cluster.nodes) == 1
    return HOST if is_alone or ingress_of(config.runtime.env) is Ingress.PROXY else EVERY_ADDRESS


def entrance(config: Config, port: int) -> Entrance:
    """Where the requests for a running application go; TrialError if HAProxy does not know its replicas."""
    ingress = ingress_of(config.runtime.env)
    if ingress is Ingress.REPLICAS:
        return _at_the_replicas(replica_addresses())
    if ingress is Ingress.HAPROXY:
        _wait_for_haproxy()
    return Entrance(urls=(f"http://{HOST}:{port}",), ports=(port,), pids=tuple(proxy_pids()))


def haproxy_stats() -> HAProxyStats:
    """Of the trial's HAProxy; TrialError if it does not answer."""
    try:
        return read_stats(proxy_node())
    except OSError as error:
        raise TrialError(
            f"HAProxy does not answer on its admin socket: {error}; see Serve's log of HAProxyManager"
        ) from error


def _at_the_replicas(addresses: Sequence[ReplicaAddress]) -> Entrance:
    if not addresses:
        raise TrialError("no replica takes requests itself, although direct ingress is on: see Serve's log")
    here = proxy_node()
    pids = {actor.actor: actor.pid for actor in replica_actors() if actor.node_id == here}
    return Entrance(
        urls=tuple(f"http://{HOST if one.actor in pids else one.ip}:{one.port}" for one in addresses),
        ports=tuple(one.port for one in addresses if one.actor in pids),
        pids=tuple(pids[one.actor] for one in addresses if one.actor in pids),
    )


def _wait_for_haproxy() -> None:
    """Serve calls an application running before HAProxy has heard of its replicas."""
    deadline = time.monotonic() + KNOWN_S
    while True:
        wanted = {server_name(one.actor) for one in replica_addresses()}
        try:
            missing = wanted - haproxy_stats().servers_up
        except TrialError:
            if time.monotonic() > deadline:
                raise
            missing = wanted
        if wanted and not missing:
            return
        if time.monotonic() > deadline:
            raise TrialError(
                f"HAProxy passes no requests on to {', '.join(sorted(missing)) or 'any replica'} after"
                f" {KNOWN_S:g} s; see Serve's log of HAProxyManager"
            )
        time.sleep(POLL_S)
