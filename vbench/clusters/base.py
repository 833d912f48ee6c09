"""What every kind of cluster offers to a trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vbench.linux.guard import GRACE_S
from vbench.record.network import Link, Network


class Progress(Protocol):
    """Reports what is being waited for, and how far it is; ``total`` 0 if unknown."""

    def __call__(self, name: str, done: int = 0, total: int = 0, note: str = "") -> None:
        """Show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """The address of one node of the configuration."""

    name: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEndpoint:
    """The cluster, as the load process needs to know it."""

    address: str
    temp_dir: str
    """Ray's temp dir: the same path in every node."""
    nodes: list[NodeAddress]
    """Head first."""
    links: list[Link]
    """One per node if the nodes are network namespaces with shaped links, whose processes this process can
    see; else empty."""
    is_here: bool = True
    """Whether this process sees the processes of all nodes; if not, an actor samples each node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCluster:
    """A running cluster: its address, and how to start a process on its head."""

    address: str
    """``host:port`` of the head's control store (GCS), for ``ray.init``."""
    temp_dir: str
    """Ray's temp dir on the head."""
    load_env: Mapping[str, str]
    """The environment of the load process."""
    exit_status: Callable[[], int | None]
    """Exit status of Ray on a node where it has exited unexpectedly; None while it runs on all."""
    nodes: tuple[NodeAddress, ...]
    """Head first."""
    enter: tuple[str, ...] = ()
    """Prefix of a command that runs on the head; empty if the head is this machine."""
    host_pids: Mapping[str, int] = field(default_factory=dict)
    """Node -> a process in its namespaces, on an emulated cluster; else empty."""
    link_check_s: float = 0.0
    """Seconds that the link check took at the start."""
    is_here: bool = True
    """Whether all its nodes are on this machine, which the harness then samples."""
    load_grace_s: float = GRACE_S
    """Seconds that the load process has to end once asked to."""
    network: Network | None = None
    """The emulated network, its links checked; None if there is none."""
    begin_events: Callable[[float], None] | None = None
    """Tells an emulated cluster with events when the measured phase began, in monotonic seconds."""
    recheck_links: Callable[[], Network] | None = None
    """Ends Ray on the emulated cluster, and returns its network with the links checked once more."""
