"""What every kind of cluster offers to a trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[str], None]
"""Told in a few words what is being waited for."""


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
    node_names: tuple[str, ...]
    """The nodes, head first."""
