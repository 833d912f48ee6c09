"""What connections gave a transfer of objects, against the caps of connections and NICs."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.arms import connections
from vbench.analysis.statistics import Mean, mean
from vbench.record.types import Trial

RATE = "transfer_mbps"

SENDER, RECEIVER = "Sender", "Receiver"
"""The actors of ``load=transfer``, as their placement is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The rate of one arm's transfers over its trials."""

    connections: int
    """From the sender to the receiver."""
    flow_mbps: float
    """Cap of each."""
    nic_mbps: float
    """Cap of both NICs, the smaller one."""
    cap_mbps: float
    """min(connections x flow_mbps, nic_mbps)."""
    rate_mbps: Mean
    """Of the objects' own bytes; headers, which the caps count, are not in it."""
    share_percent: Mean
    """The rate over ``cap_mbps``."""


def reached(trials: Sequence[Trial]) -> Reached | None:
    """Of an arm's valid trials; None where they did something else than ``load=transfer``, or over links that
    are not shaped, or not all over the same."""
    caps = {_caps(trial) for trial in trials}
    if len(caps) != 1:
        return None
    (only,) = caps
    if only is None:
        return None
    count, flow_mbps, nic_mbps = only
    cap_mbps = min(count * flow_mbps, nic_mbps)
    rates = [trial.metrics[RATE] for trial in trials]
    return Reached(
        connections=count,
        flow_mbps=flow_mbps,
        nic_mbps=nic_mbps,
        cap_mbps=cap_mbps,
        rate_mbps=mean(rates),
        share_percent=mean([100 * rate / cap_mbps for rate in rates]),
    )


def _caps(trial: Trial) -> tuple[int, float, float] | None:
    """Connections, cap of each and of the NICs, in Mbit/s."""
    if trial.network is None or trial.observed is None or RATE not in trial.metrics:
        return None
    links = {link.node: link for link in trial.network.links}
    nodes = [next(iter(trial.observed.placement.get(name, {})), "") for name in (SENDER, RECEIVER)]
    ends = [links[node] for node in nodes if node in links]
    if len(ends) != 2:
        return None
    return connections(trial), ends[0].flow_mbps, min(link.nic_mbps for link in ends)
