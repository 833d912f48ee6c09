"""Hosts, addresses and rates of an emulated cluster, derived from the configuration."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vbench.config.schema import ClusterConfig, NodeConfig
from vbench.record.network import Link, LinkEvent

SUBNET = "10.77.0.0/24"

MOST_HOSTS = 254
"""Addresses of ``SUBNET``."""

OBJECT_MANAGER_PORT = 8076
"""Of every host: connections to it carry objects, and each gets a class of its own."""

DATA_CLASSES = 256
"""Connections that carry objects, of one host at a time, none of which shares its cap with another."""

OTHER_CLASSES = 64
"""For all other connections; they move kilobytes."""

SHM_SPARE_MB = 64
"""In ``/dev/shm`` beside the object store."""

TEMP_MB = 4096
"""For Ray's session folder (logs, sockets, what is spilled)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host; rates are those set in the kernel, in 10^6 bits per second."""

    name: str
    ip: str
    nic_mbps: float
    flow_mbps: float
    shm_mb: int
    command: tuple[str, ...] = ()
    """What starts Ray on it."""

    @property
    def link(self) -> Link:
        """Its link, as the record has it."""
        return Link(node=self.name, nic_mbps=self.nic_mbps, flow_mbps=self.flow_mbps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything that init needs to know."""

    folder: str
    """Mount point of each host's own temp dir."""
    hosts: tuple[Host, ...]
    """Head first."""
    scale: float
    """For the record: it is in the rates already."""
    congestion_control: str
    timeout_s: float
    """Ray must be up on a further host within this time."""
    events: tuple[LinkEvent, ...] = ()
    """Changes of rates, in the order of their times."""

    def to_json(self) -> str:
        """As one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """What ``to_json`` wrote."""
        data: dict[str, Any] = json.loads(text)
        hosts = tuple(Host(**{**host, "command": tuple(host["command"])}) for host in data.pop("hosts"))
        events = tuple(LinkEvent(**event) for event in data.pop("events"))
        return cls(**data, hosts=hosts, events=events)


def flow_mbps(config: ClusterConfig, node: NodeConfig) -> float:
    """Cap of a connection that a node sends on, as configured; ValueError if neither has one."""
    rate = node.flow_mbps if node.flow_mbps is not None else config.flow_mbps
    if rate is None:
        raise ValueError("cluster.flow_mbps, or flow_mbps of each node, is needed")
    return rate


def events(config: ClusterConfig) -> tuple[LinkEvent, ...]:
    """The events of a validated configuration, in the order of their times, their rates divided by the
    scale."""
    planned = []
    for event in config.events:
        assert event.node is not None
        assert event.at_s is not None
        planned.append(
            LinkEvent(
                node=event.node,
                at_s=event.at_s,
                nic_mbps=None if event.nic_mbps is None else event.nic_mbps / config.scale,
                flow_mbps=None if event.flow_mbps is None else event.flow_mbps / config.scale,
            )
        )
    return tuple(sorted(planned, key=lambda event: event.at_s))


def hosts(config: ClusterConfig, commands: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Host, ...]:
    """The hosts of a validated configuration, head first, with every rate divided by the scale."""
    planned = []
    addresses = ipaddress.ip_network(SUBNET)
    for number, (name, node) in enumerate(config.nodes.items(), start=1):
        assert node.nic_mbps is not None
        planned.append(
            Host(
                name=name,
                ip=str(addresses[number]),
                nic_mbps=node.nic_mbps / config.scale,
                flow_mbps=flow_mbps(config, node) / config.scale,
                shm_mb=node.object_store_mb + SHM_SPARE_MB,
                command=commands[name] if commands else (),
            )
        )
    return tuple(planned)
