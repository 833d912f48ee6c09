"""The caps of an emulated cluster's links over time, which events of the configuration may change."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from vbench.record.network import Link, LinkEvent, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A change: between ``began_s`` and ``ended_s`` (monotonic seconds) both links were in force."""

    began_s: float
    ended_s: float
    link: Link


@dataclass(frozen=True, slots=True)
class LinkCaps:
    """Each node's link over time."""

    first: dict[str, Link]
    """Node -> its link before any event."""
    steps: dict[str, list[_Step]]
    """Node -> its changes, in order."""

    @classmethod
    def of(cls, network: Network) -> Self:
        """From a trial's record, with the events that took place."""
        first = {link.node: link for link in network.links}
        steps: dict[str, list[_Step]] = {}
        for event in sorted(_took_place(network.events), key=lambda event: event.began_s or 0.0):
            assert event.began_s is not None
            assert event.ended_s is not None
            before = steps.get(event.node, [])
            link = changed(before[-1].link if before else first[event.node], event)
            steps[event.node] = [*before, _Step(began_s=event.began_s, ended_s=event.ended_s, link=link)]
        return cls(first, steps)

    def during(self, node: str, from_s: float, to_s: float) -> list[Link]:
        """Every link of a node that was in force at some moment of that time."""
        steps = self.steps.get(node, [])
        begins = [float("-inf"), *(step.began_s for step in steps)]
        ends = [*(step.ended_s for step in steps), float("inf")]
        links = [self.first[node], *(step.link for step in steps)]
        return [
            link
            for link, begin, end in zip(links, begins, ends, strict=True)
            if begin <= to_s and end >= from_s
        ]

    def mean(self, node: str, from_s: float, to_s: float) -> Link:
        """The link with the mean rates over that time; while a change took place, the higher rate counts."""
        if node not in self.steps:
            return self.first[node]
        inside = (
            moment
            for step in self.steps[node]
            for moment in (step.began_s, step.ended_s)
            if from_s < moment < to_s
        )
        moments = [from_s, *sorted(inside), to_s]
        nic = flow = total_s = 0.0
        for begin, end in pairwise(moments):
            middle = (begin + end) / 2
            links = self.during(node, middle, middle)
            nic += (end - begin) * max(link.nic_mbps for link in links)
            flow += (end - begin) * max(link.flow_mbps for link in links)
            total_s += end - begin
        if total_s <= 0:
            return self.during(node, from_s, to_s)[-1]
        return replace(self.first[node], nic_mbps=nic / total_s, flow_mbps=flow / total_s)

    def highest(self, node: str) -> Link:
        """The link with the highest rates that were ever in force."""
        links = [self.first[node], *(step.link for step in self.steps.get(node, []))]
        return replace(
            self.first[node],
            nic_mbps=max(link.nic_mbps for link in links),
            flow_mbps=max(link.flow_mbps for link in links),
        )

    def lowest(self, node: str) -> Link:
        """The link with the lowest rates that were ever in force."""
        links = [self.first[node], *(step.link for step in self.steps.get(node, []))]
        return replace(
            self.first[node],
            nic_mbps=min(link.nic_mbps for link in links),
            flow_mbps=min(link.flow_mbps for link in links),
        )


def changed(link: Link, event: LinkEvent) -> Link:
    """The link after an event."""
    nic = link.nic_mbps if event.nic_mbps is None else event.nic_mbps
    flow = link.flow_mbps if event.flow_mbps is None else event.flow_mbps
    return replace(link, nic_mbps=nic, flow_mbps=flow)


def _took_place(events: Iterable[LinkEvent]) -> list[LinkEvent]:
    return [event for event in events if event.began_s is not None and event.ended_s is not None]
