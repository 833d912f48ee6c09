"""What the nodes' samples say about their links: counters made into bytes, rates and waits an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.record.network import Link
from vbench.record.types import NodeSample

MOVING = 0.05
"""A link carries something worth the name from this share of its cap on."""

CHATTER_MBPS = 3.0
"""And above this: what Ray's nodes say to each other all the time stays below (2.6 Mbit/s at most were seen,
whatever the links)."""

PEAK_S = 2.0
"""A rate that is held against a cap is taken over this time or longer: a token bucket lets bursts pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One node between two looks."""

    from_s: float
    """Monotonic seconds."""
    to_s: float
    earliest_s: float
    """From when the first look's bytes may be, if its reader had to wait for the CPU."""
    sent_bytes: int
    received_bytes: int
    out_waits: int
    """Times that the shaper held back what the node sends; 0 where nothing is shaped."""
    in_waits: int
    """Times that it held back what the node receives."""
    out_backlog: bool
    """Whether anything waited to be sent at either look."""
    in_backlog: bool
    dropped: int
    """Packets, both ways."""

    @property
    def passed_s(self) -> float:
        """Seconds between the looks."""
        return self.to_s - self.from_s

    @property
    def rate_mbps(self) -> float:
        """Mbit/s of the busier direction."""
        return max(self.sent_mbps, self.received_mbps)

    @property
    def sent_mbps(self) -> float:
        """Mbit/s; 0 where no time passed."""
        return _mbps(self.sent_bytes, self.passed_s)

    @property
    def received_mbps(self) -> float:
        """Mbit/s; 0 where no time passed."""
        return _mbps(self.received_bytes, self.passed_s)

    @property
    def out_held(self) -> bool:
        """Whether the shaper held back what the node sends."""
        return self.out_waits > 0 or self.out_backlog

    @property
    def in_held(self) -> bool:
        """Whether the shaper held back what the node receives."""
        return self.in_waits > 0 or self.in_backlog


Round = Mapping[str, Interval]
"""Node -> interval, of the same two looks."""


def rounds(samples: Sequence[NodeSample]) -> list[Round]:
    """From the samples of all nodes, which every look has one each of, in order."""
    by_node: dict[str, list[NodeSample]] = {}
    for sample in samples:
        by_node.setdefault(sample.node, []).append(sample)
    looks = min((len(of_node) for of_node in by_node.values()), default=0)
    return [
        {node: _interval(of_node[i], of_node[i + 1]) for node, of_node in by_node.items()}
        for i in range(looks - 1)
    ]


def _interval(before: NodeSample, after: NodeSample) -> Interval:
    first, last = before.link, after.link
    shaped = first is not None and last is not None
    return Interval(
        from_s=before.at_s,
        to_s=after.at_s,
        earliest_s=before.earliest_s,
        sent_bytes=after.nic_sent_bytes - before.nic_sent_bytes,
        received_bytes=after.nic_received_bytes - before.nic_received_bytes,
        out_waits=last.out_waits - first.out_waits if first and last else 0,
        in_waits=last.in_waits - first.in_waits if first and last else 0,
        out_backlog=shaped and any(link.out_backlog_bytes for link in (first, last) if link),
        in_backlog=shaped and any(link.in_backlog_bytes for link in (first, last) if link),
        dropped=(
            last.out_dropped - first.out_dropped + last.in_dropped - first.in_dropped if first and last else 0
        ),
    )


def _mbps(nbytes: int, passed_s: float) -> float:
    return 8e-6 * nbytes / passed_s if passed_s > 0 else 0.0


def is_moving(interval: Interval, link: Link) -> bool:
    """Whether the link carried something worth the name, in its busier direction."""
    return interval.rate_mbps >= least_mbps(link)


def least_mbps(link: Link) -> float:
    """The rate from which on a link carries something worth the name."""
    return max(MOVING * link.nic_mbps, CHATTER_MBPS)


def peak_mbps(each: Sequence[Round], node: str) -> float:
    """The highest rate of a node's NIC, in Mbit/s of the busier direction, over ``PEAK_S`` or longer.

    Of a shorter time over all of it. Where a reader had to wait, the longest time that the bytes may have
    taken counts.
    """
    of_node = [one[node] for one in each if node in one]
    peak, first = 0.0, 0
    for last in range(len(of_node)):
        while first < last and of_node[last].to_s - of_node[first + 1].from_s >= PEAK_S:
            first += 1
        passed_s = of_node[last].to_s - of_node[first].earliest_s
        if passed_s < PEAK_S and last < len(of_node) - 1:
            continue
        window = of_node[first : last + 1]
        for nbytes in (sum(one.sent_bytes for one in window), sum(one.received_bytes for one in window)):
            peak = max(peak, _mbps(nbytes, passed_s))
    return peak


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUse:
    """One link over all intervals in which it carried something."""

    node: str
    nic_mbps: float
    rate_mbps: float
    """Of the direction that carried more in all, over the time of these intervals; 0 where there is none. An
    interval that was idle for a part counts whole, so short bursts lower it."""
    moving_s: float
    dropped: int
    """Packets, both ways, over all intervals."""

    @property
    def percent(self) -> float:
        """The rate as a share of the NIC's cap."""
        return 100 * self.rate_mbps / self.nic_mbps


def link_use(each: Sequence[Round], link: Link) -> LinkUse:
    """How a link was used in all rounds."""
    of_node = [one[link.node] for one in each if link.node in one]
    moving = [interval for interval in of_node if is_moving(interval, link)]
    moving_s = sum(interval.passed_s for interval in moving)
    sent = sum(interval.sent_bytes for interval in moving)
    received = sum(interval.received_bytes for interval in moving)
    return LinkUse(
        node=link.node,
        nic_mbps=link.nic_mbps,
        rate_mbps=_mbps(max(sent, received), moving_s),
        moving_s=moving_s,
        dropped=sum(interval.dropped for interval in of_node),
    )
