"""How faithful an emulated trial was: whether its links or the machine's CPUs set the pace of its transfers.

After Handigol et al., "Reproducible network experiments using container-based emulation" (Mininet-HiFi),
CoNEXT 2012: an emulation that shares a machine's CPUs proves for each run that it did not wait for these.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vbench.record.link_caps import LinkCaps
from vbench.record.link_use import LinkUse, NodeIntervals, is_moving, link_use, sample_intervals
from vbench.record.network import Link, Network
from vbench.record.samples import MachineSample, NodeSample

SATURATED_PERCENT = 95.0
"""From this utilisation, the CPUs count as saturated."""


def cpu_while_moving_percent(
    intervals: Sequence[NodeIntervals], links: Sequence[Link], machines: Sequence[MachineSample]
) -> float | None:
    """Percent of the machine's CPU that was not idle, interrupts included, while any link moved bytes: the
    mean over its samples' intervals, weighted by the seconds that these share with such times. None if
    nothing moved, or if there are fewer than two samples of the machine in that time.
    """
    spans = [_times(one) for one in intervals if _anything_moves(one, links)]
    weighed = total_s = 0.0
    for begins_s, ends_s, percent in _used(machines):
        shared_s = sum(max(0.0, min(ends_s, to_s) - max(begins_s, from_s)) for from_s, to_s in spans)
        weighed += shared_s * percent
        total_s += shared_s
    return weighed / total_s if total_s else None


def _used(machines: Sequence[MachineSample]) -> list[tuple[float, float, float]]:
    """From, to, and percent of the machine's CPU that was not idle, between each two samples."""
    return [
        (before.at_s, after.at_s, 100 * (1 - (after.cpu_idle_s - before.cpu_idle_s) / passed_s))
        for before, after in pairwise(machines)
        if (passed_s := after.cpu_all_s - before.cpu_all_s) > 0
    ]


def _times(one: NodeIntervals) -> tuple[float, float]:
    """When these intervals were: nodes are sampled within milliseconds, so the first one counts for all."""
    first = next(iter(one.values()))
    return first.from_s, first.to_s


def _anything_moves(one: NodeIntervals, links: Sequence[Link]) -> bool:
    return any(is_moving(one[link.node], link) for link in links if link.node in one)


def cpu_saturated_percent(
    intervals: Sequence[NodeIntervals], links: Sequence[Link], machines: Sequence[MachineSample]
) -> float | None:
    """Percent of all bytes sent that moved while the machine's CPUs were used to ``SATURATED_PERCENT`` or
    more, by its samples; None if nothing moved while it was sampled."""
    used = _used(machines)
    moved = saturated = 0.0
    for one in intervals:
        from_s, to_s = _times(one)
        if to_s <= from_s:
            continue
        sent = sum(one[link.node].sent_bytes for link in links if link.node in one)
        for begins_s, ends_s, percent in used:
            share = max(0.0, min(to_s, ends_s) - max(from_s, begins_s)) / (to_s - from_s)
            moved += share * sent
            saturated += share * sent * (percent >= SATURATED_PERCENT)
    return 100 * saturated / moved if moved else None


def shaped_percent(intervals: Sequence[NodeIntervals], links: Sequence[Link]) -> float | None:
    """Percent of all bytes sent that moved while a shaper of their sender or their receiver held packets
    back; None if nothing moved.

    A link held packets back in an interval if its counter of waits grew, or bytes were waiting at either
    sample. Counters do not say who sent to whom, so a node's bytes are divided among the others in proportion
    to what they received in the same interval. Intervals in which the sender's link moved no bytes do not
    count.
    """
    return _share(intervals, links, _held)


def queued_percent(intervals: Sequence[NodeIntervals], links: Sequence[Link]) -> float | None:
    """As ``shaped_percent``, for bytes that moved in intervals with bytes waiting at one of its samples. This
    is what the rule judges, since a sample sees only what waits at that moment."""
    return _share(intervals, links, _queued)


def _held(one: NodeIntervals, node: str) -> tuple[bool, bool]:
    return one[node].out_held, one[node].in_held


def _queued(one: NodeIntervals, node: str) -> tuple[bool, bool]:
    return one[node].out_backlog, one[node].in_backlog


def _share(
    intervals: Sequence[NodeIntervals],
    links: Sequence[Link],
    held: Callable[[NodeIntervals, str], tuple[bool, bool]],
) -> float | None:
    moved = waited = 0.0
    for one in intervals:
        present = [link for link in links if link.node in one]
        for link in present:
            sent = one[link.node].sent_bytes
            if not is_moving(one[link.node], link) or not sent:
                continue
            others = {
                other.node: one[other.node].received_bytes for other in present if other.node != link.node
            }
            moved += sent
            waited += sent * (1.0 if held(one, link.node)[0] else _held_by(one, others, held))
    return 100 * waited / moved if moved else None


def _held_by(
    one: NodeIntervals, received: Mapping[str, int], held: Callable[[NodeIntervals, str], tuple[bool, bool]]
) -> float:
    """The share of the received bytes that came through a link whose shaper held packets back."""
    total = sum(received.values())
    return sum(count for node, count in received.items() if held(one, node)[1]) / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFidelity:
    """How the shaped links of an emulated trial were used, and whether the machine's CPUs kept up with
    them."""

    intervals: Sequence[NodeIntervals]
    """Between each two samples of all nodes."""
    uses: Sequence[LinkUse]
    """Of each link, in the network's order."""
    shaped_percent: float | None
    queued_percent: float | None
    cpu_while_moving_percent: float | None
    cpu_saturated_percent: float | None
    """Each as the function above of the same name says."""


def link_fidelity(
    network: Network, nodes: Sequence[NodeSample], machines: Sequence[MachineSample]
) -> LinkFidelity:
    """Compute all of it from a trial's samples, once: metrics and rules both read the result."""
    intervals, caps = sample_intervals(nodes), LinkCaps.of(network)
    # A link whose cap an event changed counts as moving bytes from the same share of its lowest cap.
    links = [caps.lowest(link.node) for link in network.links]
    return LinkFidelity(
        intervals=intervals,
        uses=[link_use(intervals, link, caps if network.events else None) for link in network.links],
        shaped_percent=shaped_percent(intervals, links),
        queued_percent=queued_percent(intervals, links),
        cpu_while_moving_percent=cpu_while_moving_percent(intervals, links, machines),
        cpu_saturated_percent=cpu_saturated_percent(intervals, links, machines),
    )


def metrics(fidelity: LinkFidelity) -> dict[str, float]:
    """Per link that moved bytes, over the intervals in which it did: ``link_rate_mbps.NODE``,
    ``link_use_percent.NODE`` (the rate as a share of the NIC's cap) and ``link_moving_s.NODE``; of all links
    ``link_dropped_packets``; ``link_held_percent`` (``shaped_percent``), ``link_queued_percent``,
    ``cpu_while_moving_percent`` and ``cpu_saturated_percent`` as the functions of these names say.
    """
    values: dict[str, float | None] = {
        "link_held_percent": fidelity.shaped_percent,
        "link_queued_percent": fidelity.queued_percent,
        "cpu_while_moving_percent": fidelity.cpu_while_moving_percent,
        "cpu_saturated_percent": fidelity.cpu_saturated_percent,
        "link_dropped_packets": float(sum(use.dropped for use in fidelity.uses)),
    }
    for use in fidelity.uses:
        if use.moving_s:
            values[f"link_rate_mbps.{use.node}"] = use.rate_mbps
            values[f"link_use_percent.{use.node}"] = use.percent
            values[f"link_moving_s.{use.node}"] = use.moving_s
    return {name: value for name, value in values.items() if value is not None}
