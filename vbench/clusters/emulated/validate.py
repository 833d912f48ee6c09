"""Checks the rates and the size of an emulated network, and that no other cluster has rates."""

import math
from collections.abc import Iterator

from vbench.clusters.emulated.topology import DATA_CLASSES, MOST_HOSTS, flow_mbps
from vbench.config.runtime_env import RuntimeFlagError, expected_connections, variables_of
from vbench.config.schema import ClusterConfig, Config
from vbench.errors import nearest

EMULATED = "emulated"

EXAMPLE = "{at_s: 20, node: decode, nic_mbps: 5000}"

LEAST_MBPS = 5.0
"""Measured: below it, after scaling, a connection, which sends 64 KB at a time, does not keep to its cap
within the 10% of the check before a trial."""


def network(config: Config) -> Iterator[str]:
    """One sentence for each thing that is wrong with it, naming key, value and remedy."""
    cluster = config.cluster
    if cluster.name != EMULATED:
        yield from _not_shaped(cluster)
        return
    complaints = list(_rates(cluster))
    yield from complaints
    if not complaints:
        yield from _flow(cluster)
        yield from _events(cluster)
    if len(cluster.nodes) < 2:
        yield (
            f"cluster=emulated needs at least two nodes, but cluster.nodes names {len(cluster.nodes)}: delete"
            f" fewer, or choose cluster=local."
        )
    if len(cluster.nodes) > MOST_HOSTS:
        yield (
            f"cluster.nodes has {len(cluster.nodes)} nodes, and an emulated network has addresses for"
            f" {MOST_HOSTS}: use fewer."
        )
        return
    try:
        connections = expected_connections(variables_of(config.runtime))
    except (RuntimeFlagError, ValueError):
        return  # vbench.config.runtime_checks says what is wrong
    flows = connections * (len(cluster.nodes) - 1)
    if flows > DATA_CLASSES:
        yield (
            f"runtime.connections={connections} to {len(cluster.nodes) - 1} peers makes {flows} connections"
            f" per node, of which at most {DATA_CLASSES} can be shaped; lower it, or use fewer nodes."
        )


def _events(cluster: ClusterConfig) -> Iterator[str]:
    for number, event in enumerate(cluster.events):
        key = f"cluster.events[{number}]"
        if event.at_s is None or not (math.isfinite(event.at_s) and event.at_s >= 0):
            yield f"{key} needs at_s, 0 or more seconds after the measured phase began: {EXAMPLE}."
        if event.node not in cluster.nodes:
            listing = nearest(event.node or "", cluster.nodes)
            yield f"{key} needs node, one of the cluster's: node={event.node} is none; {listing}."
        if event.nic_mbps is None and event.flow_mbps is None:
            yield f"{key} changes nothing: give it nic_mbps or flow_mbps, as in {EXAMPLE}."
        for name, rate in (("nic_mbps", event.nic_mbps), ("flow_mbps", event.flow_mbps)):
            if rate is not None and not (math.isfinite(rate) and rate > 0):
                yield f"{key}.{name}={rate:g} must be above 0, in Mbit/s."
            elif rate is not None and rate / cluster.scale < LEAST_MBPS:
                yield (
                    f"{key}.{name}={rate:g} divided by cluster.scale={cluster.scale:g} leaves"
                    f" {rate / cluster.scale:g} Mbit/s, and less than {LEAST_MBPS:g} cannot be shaped within"
                    f" 10%: give {LEAST_MBPS * cluster.scale:g} or more."
                )


def _not_shaped(cluster: ClusterConfig) -> Iterator[str]:
    """A rate that has no effect would be mistaken for one that was enforced."""
    if cluster.events:
        yield (
            f"cluster.events applies only to cluster=emulated, because cluster={cluster.name} has no shaped"
            " links: leave it out, or choose cluster=emulated."
        )
    given: list[tuple[str, float | None]] = [("cluster.flow_mbps", cluster.flow_mbps)]
    for name, node in cluster.nodes.items():
        given.append((f"cluster.nodes.{name}.nic_mbps", node.nic_mbps))
        given.append((f"cluster.nodes.{name}.flow_mbps", node.flow_mbps))
    given.append(("cluster.scale", None if cluster.scale == 1 else cluster.scale))
    for key, value in given:
        if value is not None:
            yield (
                f"{key}={value:g} applies only to cluster=emulated, because cluster={cluster.name} has no"
                " shaped links: leave it out, or choose cluster=emulated."
            )


def _rates(cluster: ClusterConfig) -> Iterator[str]:
    if not (math.isfinite(cluster.scale) and cluster.scale > 0):
        yield f"cluster.scale={cluster.scale:g} must be above 0; 1 leaves the rates unchanged."
    rates: dict[str, float | None] = {"cluster.flow_mbps": cluster.flow_mbps}
    rates |= {f"cluster.nodes.{name}.nic_mbps": node.nic_mbps for name, node in cluster.nodes.items()}
    own = {f"cluster.nodes.{name}.flow_mbps": node.flow_mbps for name, node in cluster.nodes.items()}
    if None not in own.values():
        del rates["cluster.flow_mbps"]  # nobody reads it
    rates |= {key: rate for key, rate in own.items() if rate is not None}
    for key, rate in rates.items():
        if rate is None:
            yield f"{key}=null: cluster=emulated needs a rate in Mbit/s, such as {key}=10000."
        elif not (math.isfinite(rate) and rate > 0):
            yield f"{key}={rate:g} must be above 0, in Mbit/s."


def _flow(cluster: ClusterConfig) -> Iterator[str]:
    flows: dict[str, float] = {}
    for name, node in cluster.nodes.items():
        key = "cluster.flow_mbps" if node.flow_mbps is None else f"cluster.nodes.{name}.flow_mbps"
        flow, nic = flow_mbps(cluster, node), node.nic_mbps or 0.0
        flows[key] = flow
        if flow > nic:
            yield (
                f"{key}={flow:g} is above cluster.nodes.{name}.nic_mbps={nic:g}: one connection"
                f" cannot be faster than the network card; lower one or raise the other."
            )
    for key, flow in flows.items():
        if flow / cluster.scale < LEAST_MBPS:
            most = flow / LEAST_MBPS
            yield (
                f"{key}={flow:g} divided by cluster.scale={cluster.scale:g} leaves"
                f" {flow / cluster.scale:g} Mbit/s per connection, and less than {LEAST_MBPS:g} cannot be"
                f" shaped within 10%: give cluster.scale={math.floor(most) if most >= 1 else most:g} or less."
            )
