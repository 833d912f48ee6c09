"""Bytes, rates and waits of the nodes' links per interval, from the counters in their samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vbench.record.link_caps import LinkCaps
from vbench.record.network import Link
from vbench.record.samples import NodeSample

MOVING = 0.05
"""A link counts as moving bytes from this share of its cap."""

CHATTER_MBPS = 3.0
"""And above this: the background traffic of Ray's nodes stays below (at most 2.6 Mbit/s, whatever the
links)."""

PEAK_S = 2.0
"""A rate that is compared with a cap is averaged over at least this time: a token bucket lets bursts pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One node between two samples."""

    from_s: float
    """Monotonic seconds."""
    to_s: float
    earliest_s: float
    """The earliest time of the first sample's bytes, if its reader had to wait for the CPU."""
    sent_bytes: int
    received_bytes: int
    out_waits: int
    """Times that the shaper held back what the node sends; 0 where nothing is shaped."""
    in_waits: int
    """Times that it held back what the node receives."""
    out_backlog: bool
    """Whether anything waited to be sent at either sample."""
    in_backlog: bool
    dropped: int
    """Packets, both ways."""

    @property
    def passed_s(self) -> float:
        """Seconds between the samples."""
        return self.to_s - self.from_s

    @property
    def rate_mbps(self) -> float:
        """Mbit/s of the busier direction."""
        return max(self.sent_mbps, self.received_mbps)

    @property
    def sent_mbps(self) -> float:
        """Mbit/s; 0 if no time passed."""
        return _mbps(self.sent_bytes, self.passed_s)

    @property
    def received_mbps(self) -> float:
        """Mbit/s; 0 if no time passed."""
        return _mbps(self.received_bytes, self.passed_s)

    @property
    def out_held(self) -> bool:
        """Whether the shaper held back what the node sends."""
        return self.out_waits > 0 or self.out_backlog

    @property
    def in_held(self) -> bool:
        """Whether the shaper held back what the node receives."""
        return self.in_waits > 0 or self.in_backlog


NodeIntervals = Mapping[str, Interval]
"""Node -> its interval between the same two samples."""


def sample_intervals(samples: Sequence[NodeSample]) -> list[NodeIntervals]:
    """The intervals of all nodes between each two samples; ``samples``: in order, the same number per
    node."""
    by_node: dict[str, list[NodeSample]] = {}
    for sample in samples:
        by_node.setdefault(sample.node, []).append(sample)
    count = min((len(of_node) for of_node in by_node.values()), default=0)
    return [
        {node: _interval(of_node[i], of_node[i + 1]) for node, of_node in by_node.items()}
        for i in range(count - 1)
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
    """Whether the link moved bytes, in its busier direction."""
    return interval.rate_mbps >= least_mbps(link)


def least_mbps(link: Link) -> float:
    """The rate from which a link counts as moving bytes."""
    return max(MOVING * link.nic_mbps, CHATTER_MBPS)


def peak_mbps(intervals: Sequence[NodeIntervals], node: str) -> float:
    """The highest rate of a node's NIC, in Mbit/s of the busier direction, over ``PEAK_S`` or longer.

    Over all of a shorter time. If a reader had to wait, the longest time that the bytes may have taken
    counts.
    """
    return max((rate for rate, _, _ in _rates(intervals, node)), default=0.0)


def peak_of_cap(intervals: Sequence[NodeIntervals], node: str, caps: LinkCaps) -> tuple[float, float]:
    """As ``peak_mbps``, where the rate is the largest share of the cap: the rate, and the mean cap of that
    time, in Mbit/s."""
    rates = [(rate, caps.mean(node, from_s, to_s).nic_mbps) for rate, from_s, to_s in _rates(intervals, node)]
    return max(rates, key=lambda one: one[0] / one[1], default=(0.0, caps.first[node].nic_mbps))


def _rates(intervals: Sequence[NodeIntervals], node: str) -> Iterator[tuple[float, float, float]]:
    """Rate of the busier direction, from and to, over each time of about ``PEAK_S``."""
    of_node = [one[node] for one in intervals if node in one]
    first = 0
    for last in range(len(of_node)):
        while first < last and of_node[last].to_s - of_node[first + 1].from_s >= PEAK_S:
            first += 1
        passed_s = of_node[last].to_s - of_node[first].earliest_s
        if passed_s < PEAK_S and last < len(of_node) - 1:
            continue
        window = of_node[first : last + 1]
        for nbytes in (sum(one.sent_bytes for one in window), sum(one.received_bytes for one in window)):
            yield _mbps(nbytes, passed_s), of_node[first].earliest_s, of_node[last].to_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUse:
    """One link over all intervals in which it moved bytes."""

    node: str
    nic_mbps: float
    """The cap; its mean over the same time if it changed."""
    rate_mbps: float
    """Of the busier direction, over the time of these intervals; 0 without any. An interval that was partly
    idle counts whole, so short bursts lower it."""
    moving_s: float
    dropped: int
    """Packets, both ways, over all intervals."""

    @property
    def percent(self) -> float:
        """The rate as a share of the NIC's cap."""
        return 100 * self.rate_mbps / self.nic_mbps


def link_use(intervals: Sequence[NodeIntervals], link: Link, caps: LinkCaps | None = None) -> LinkUse:
    """How a link was used over all intervals; ``caps``: of all times, if they changed."""
    of_node = [one[link.node] for one in intervals if link.node in one]

    def at(interval: Interval) -> Link:
        return link if caps is None else caps.mean(link.node, interval.from_s, interval.to_s)

    moving = [interval for interval in of_node if is_moving(interval, at(interval))]
    moving_s = sum(interval.passed_s for interval in moving)
    sent = sum(interval.sent_bytes for interval in moving)
    received = sum(interval.received_bytes for interval in moving)
    return LinkUse(
        node=link.node,
        nic_mbps=(
            sum(at(interval).nic_mbps * interval.passed_s for interval in moving) / moving_s
            if caps is not None and moving_s
            else link.nic_mbps
        ),
        rate_mbps=_mbps(max(sent, received), moving_s),
        moving_s=moving_s,
        dropped=sum(interval.dropped for interval in of_node),
    )
