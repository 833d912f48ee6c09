"""The rate that transfers of objects achieved, against the caps of connections and NICs."""

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.arms import connections
from vbench.analysis.statistics import Mean, mean
from vbench.record.trial import Trial

RATE = "transfer_mbps"

SENDER, RECEIVER = "Sender", "Receiver"
"""The actors of ``load=transfer``, as their placement is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRate:
    """The rate of one arm's transfers, over its trials."""

    connections: int
    """From the sender to the receiver."""
    flow_mbps: float
    """Cap of each."""
    nic_mbps: float
    """The smaller cap of both NICs."""
    cap_mbps: float
    """min(connections x flow_mbps, nic_mbps)."""
    rate_mbps: Mean
    """Of the objects' own bytes, without headers, which the caps include."""
    share_percent: Mean
    """The rate over ``cap_mbps``."""


def transfer_rate(trials: Sequence[Trial]) -> TransferRate | None:
    """The rate of an arm's valid trials; None unless all are of ``load=transfer``, over the same shaped
    links."""
    caps = {_caps(trial) for trial in trials}
    if len(caps) != 1:
        return None
    (only,) = caps
    if only is None:
        return None
    count, flow_mbps, nic_mbps = only
    cap_mbps = min(count * flow_mbps, nic_mbps)
    rates = [trial.metrics[RATE] for trial in trials]
    return TransferRate(
        connections=count,
        flow_mbps=flow_mbps,
        nic_mbps=nic_mbps,
        cap_mbps=cap_mbps,
        rate_mbps=mean(rates),
        share_percent=mean([100 * rate / cap_mbps for rate in rates]),
    )


def _caps(trial: Trial) -> tuple[int, float, float] | None:
    """Connections, cap of each and of the NICs, in Mbit/s; None without caps, or if events changed them."""
    if (
        trial.network is None
        or trial.network.events
        or trial.load_report is None
        or RATE not in trial.metrics
    ):
        return None
    links = {link.node: link for link in trial.network.links}
    nodes = [next(iter(trial.load_report.placement.get(name, {})), "") for name in (SENDER, RECEIVER)]
    used = [links[node] for node in nodes if node in links]
    if len(used) != 2:
        return None
    return connections(trial), used[0].flow_mbps, min(link.nic_mbps for link in used)
