"""What every kind of cluster offers to a trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vbench.linux.guard import GRACE_S
from vbench.record.network import Link, Network


class Progress(Protocol):
    """Told in a few words what is being waited for, and how far it is; ``total`` 0 if not known."""

    def __call__(self, name: str, done: int = 0, total: int = 0, note: str = "") -> None:
        """Show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """Where one node of the configuration is."""

    name: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEndpoint:
    """The cluster, as the load process must know it."""

    address: str
    temp_dir: str
    """Ray's temp dir: the same path in every node."""
    nodes: list[NodeAddress]
    """Head first."""
    links: list[Link]
    """Of each node, where they are network namespaces with shaped links, whose processes this process can
    see; else none."""
    is_here: bool = True
    """Whether this process sees the processes of all nodes; else an actor on each looks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCluster:
    """A cluster that is up: where it is, and how a process on its head is started."""

    address: str
    """``host:port`` of the head's control store (GCS), for ``ray.init``."""
    temp_dir: str
    """Ray's temp dir on the head."""
    load_env: Mapping[str, str]
    """The environment of the load process."""
    exit_status: Callable[[], int | None]
    """Exit status of a node's Ray that has ended by itself; None while all is well."""
    nodes: tuple[NodeAddress, ...]
    """Head first."""
    enter: tuple[str, ...] = ()
    """What stands before a command that shall run on the head; empty if that is this machine."""
    link_check_s: float = 0.0
    """Seconds of the start that checking the links took."""
    is_here: bool = True
    """Whether all its nodes are on this machine, which the harness then watches."""
    load_grace_s: float = GRACE_S
    """Seconds that the load process has to end once it is asked to."""
    network: Network | None = None
    """The emulated network, its links checked; None if there is none."""
    recheck_links: Callable[[], Network] | None = None
    """Ends Ray on the emulated cluster, and gives its network with the links checked once more."""
