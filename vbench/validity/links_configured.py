"""Whether the emulated links are as configured, and all connections carried frames."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config
from vbench.config.workload import APP, workload_of
from vbench.record.load_report import LoadReport
from vbench.record.network import Link, Network
from vbench.record.samples import NodeSample
from vbench.record.trial import Rule
from vbench.validity.catalog.links import ALL_CONNECTIONS, AS_CONFIGURED, EVENTS
from vbench.validity.first_problem import first_problem

ENOUGH_BYTES_PER_CONNECTION = 20 * 2**20
"""Ray sends pieces of 5 MiB over its connections in turn, so each has had some by then."""

LEAST_OF_MOST = 0.1
"""Least bytes of a connection that carries frames, as a share of the busiest connection's."""

SAME_MBPS = 1e-6

IN_FORCE_S = 1.0
"""A change of rates is in force at most this much after its planned time."""

EARLY_S = 0.01
"""And before it by no more than clocks and rounding explain."""


def judge(
    config: Config, load_report: LoadReport, network: Network, nodes: Sequence[NodeSample]
) -> Iterator[Rule]:
    """Both rules; the second only for trials that moved enough to judge.

    The rates are computed here from the configuration, since the plan of the hosts may be wrong.
    """
    wanted = dict(_configured(config))
    emulated = {link.node: link for link in network.links}
    problems = [f"{name} has no link" for name in wanted.keys() - emulated.keys()]
    problems += [f"{name} is not in the configuration" for name in emulated.keys() - wanted.keys()]
    for name in wanted.keys() & emulated.keys():
        for what, asked, given in (
            ("NIC", wanted[name].nic_mbps, emulated[name].nic_mbps),
            ("flow cap", wanted[name].flow_mbps, emulated[name].flow_mbps),
        ):
            if abs(asked - given) > SAME_MBPS * asked:
                problems.append(
                    f"the {what} of {name} had {given:g} Mbit/s instead of the configured {asked:g}"
                )
    cluster = config.cluster
    if network.scale != cluster.scale:
        problems.append(
            f"the rates were divided by {network.scale:g}, but cluster.scale is {cluster.scale:g}"
        )
    if network.congestion_control != cluster.congestion_control:
        problems.append(
            f"TCP's congestion control was {network.congestion_control} instead of the configured"
            f" {cluster.congestion_control}"
        )
    yield AS_CONFIGURED.verdict(
        passed=not problems,
        observed=first_problem(problems) if problems else f"{len(emulated)} links as configured",
    )
    if config.cluster.events or network.events:
        yield _events(config, network, load_report)
    if workload_of(config) != APP:  # whose large and small objects may take turns, as connections do
        yield from _carried(load_report, nodes)


def _events(config: Config, network: Network, load_report: LoadReport) -> Rule:
    """Computed from the configuration, as the links are."""
    cluster, measured_s = config.cluster, load_report.phases_s.get("measure", 0.0)
    planned = sorted(cluster.events, key=lambda event: event.at_s or 0.0)
    problems = []
    if len(planned) != len(network.events):
        problems.append(f"{len(planned)} events were configured, and {len(network.events)} are recorded")
    late_s = 0.0
    for event, recorded in zip(planned, network.events, strict=False):
        what = f"the event at {event.at_s:g} s on {event.node}"
        rates = [(event.nic_mbps, recorded.nic_mbps), (event.flow_mbps, recorded.flow_mbps)]
        if (event.node, event.at_s) != (recorded.node, recorded.at_s) or not all(
            _same_rate(asked, given, cluster.scale) for asked, given in rates
        ):
            problems.append(f"{what} is recorded otherwise than it was configured")
        elif recorded.in_force_s is None or recorded.in_force_s > measured_s:
            problems.append(f"{what} was not reached: requests were measured for {measured_s:.1f} s")
        elif not -EARLY_S <= recorded.in_force_s - recorded.at_s <= IN_FORCE_S:
            problems.append(f"{what} was in force after {recorded.in_force_s:.2f} s")
        else:
            late_s = max(late_s, recorded.in_force_s - recorded.at_s)
    return EVENTS.verdict(
        passed=not problems,
        observed=(
            first_problem(problems)
            if problems
            else f"{len(planned)} events, in force within {late_s:.2f} s, maximum {IN_FORCE_S:g} s"
        ),
    )


def _same_rate(asked: float | None, given: float | None, scale: float) -> bool:
    if asked is None or given is None:
        return asked is given
    return abs(asked / scale - given) <= SAME_MBPS * given


def _configured(config: Config) -> Iterator[tuple[str, Link]]:
    """Each node's name and link."""
    cluster = config.cluster
    for name, node in cluster.nodes.items():
        flow_mbps = node.flow_mbps if node.flow_mbps is not None else cluster.flow_mbps
        if node.nic_mbps is None or flow_mbps is None:
            raise ValueError(f"cluster.nodes.{name}.nic_mbps and cluster.flow_mbps are needed")
        yield (
            name,
            Link(
                node=name,
                nic_mbps=node.nic_mbps / cluster.scale,
                flow_mbps=flow_mbps / cluster.scale,
            ),
        )


def _carried(load_report: LoadReport, nodes: Sequence[NodeSample]) -> Iterator[Rule]:
    """Per sender, how many flows carried a fair share of its frames."""
    problems: list[str] = []
    seen: list[str] = []
    receivers: dict[str, list[int]] = {}
    for pair in load_report.connections:
        if pair.established > 1 and pair.moved_bytes >= pair.established * ENOUGH_BYTES_PER_CONNECTION:
            receivers.setdefault(pair.sender, []).append(pair.established)
    for sender, counts in receivers.items():
        most: dict[str, int] = {}
        for sample in nodes:
            if sample.node == sender and sample.link is not None:
                for flow, (sent_bytes, _) in sample.link.flows.items():
                    most[flow] = max(most.get(flow, 0), sent_bytes)
        if not most:
            continue
        carried = sum(sent >= LEAST_OF_MOST * max(most.values()) for sent in most.values())
        text = f"{carried} of {max(counts)} connections of {sender}"
        (problems if carried < max(counts) else seen).append(text)
    if problems or seen:
        yield ALL_CONNECTIONS.verdict(
            passed=not problems,
            observed="; ".join(problems or seen),
        )
