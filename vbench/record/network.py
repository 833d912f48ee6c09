"""The network of an emulated cluster as it is recorded: its links, their checks, their queues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LINK_TOLERANCE = 0.10
"""A link's rate before a trial may differ from what was asked for by this share of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The shaped link of one node."""

    node: str
    nic_mbps: float
    """Cap of all it sends, and of all it receives."""
    flow_mbps: float
    """Cap of each TCP connection it sends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCheck:
    """A short transfer of the harness's own over a shaped link, before the trial."""

    sender: str
    """Several, joined by +, send at the same time where one cannot fill the receiver's NIC."""
    receiver: str
    flows: int
    """TCP connections at a time."""
    expected_mbps: float
    """min(flows x flow cap, NIC caps), in 10^6 bits of payload and headers a second."""
    measured_mbps: float
    tries: int = 1
    """A link that seems off is checked again on its own; this is the number of the last try."""

    @property
    def error(self) -> float:
        """How far off the measured rate is, as a share of the expected one."""
        return abs(self.measured_mbps / self.expected_mbps - 1)

    @property
    def passed(self) -> bool:
        """Whether the link carries what it should."""
        return self.error <= LINK_TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """A change of one node's rates while requests were measured (``cluster.events``)."""

    node: str
    at_s: float
    """Planned, in seconds after the measured phase began."""
    nic_mbps: float | None
    """New cap of all it sends, and of all it receives, divided by the scale; None: unchanged."""
    flow_mbps: float | None
    """New cap of each TCP connection it sends on, divided by the scale; None: unchanged."""
    in_force_s: float | None = None
    """When the new rates were in force, in seconds after the measured phase began; None: never."""
    began_s: float | None = None
    """Monotonic seconds when the kernel was told; from then on to ``ended_s`` both rates were in force."""
    ended_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What joins the nodes of an emulated cluster."""

    scale: float
    """The cloud's rates were divided by it."""
    congestion_control: str
    """TCP's, as found in every node."""
    links: list[Link]
    """One for each node, head first."""
    checks: list[LinkCheck]
    checks_after: list[LinkCheck] = field(default_factory=list)
    """The same after the trial, once Ray is gone, each shorter; empty in records of earlier versions."""
    events: list[LinkEvent] = field(default_factory=list)
    """Changes of rates in the trial, in the order of their planned times; ``links`` are those before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSample:
    """The shaper of one node's link at one moment; counts are since the link was made."""

    out_backlog_bytes: int
    """Waiting in the node's own queues to be sent."""
    out_waits: int
    """Times that the shaper held packets back (the qdisc's ``overlimits``)."""
    out_dropped: int
    in_backlog_bytes: int
    """Waiting at the switch for this node's NIC to take it."""
    in_waits: int
    in_dropped: int
    out_mbps: float | None = None
    """Cap of all that the node sends, as the kernel has it now; this and the next None if there is none."""
    in_mbps: float | None = None
    """Cap of all that it receives, at the switch."""
    flow_least_mbps: float | None = None
    """Of the classes of its flows the lowest cap, and the highest."""
    flow_most_mbps: float | None = None
    flow_classes: int = 0
    at_s: float | None = None
    """Monotonic seconds when the classes had been read: a node's own sample is finished a moment later."""
    began_s: float | None = None
    """Monotonic seconds just before they were read: a busy machine may let the reader wait in between."""
    flows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Class (hexadecimal) -> bytes sent so far and bytes that wait now, of those that have sent a
    megabyte."""

    @property
    def earliest_s(self) -> float | None:
        """The earliest that the classes may have been read; None if they were not."""
        return self.at_s if self.began_s is None else self.began_s


def read_network(data: Mapping[str, Any]) -> Network:
    """From what JSON gives to the dataclasses."""
    return Network(
        scale=data["scale"],
        congestion_control=data["congestion_control"],
        links=[Link(**link) for link in data["links"]],
        checks=[LinkCheck(**check) for check in data["checks"]],
        checks_after=[LinkCheck(**check) for check in data.get("checks_after", [])],
        events=[LinkEvent(**event) for event in data.get("events", [])],
    )
