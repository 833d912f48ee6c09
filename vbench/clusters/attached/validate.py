"""Checks the options of ``cluster=attached``, and that no other cluster has them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from vbench.clusters.emulated.validate import EMULATED
from vbench.config.schema import ClusterConfig
from vbench.errors import nearest

ATTACHED = "attached"

PIP = "pip"
DEPENDENCIES = ("image", PIP)


def is_discovered(cluster: ClusterConfig) -> bool:
    """Whether its nodes are read from Ray when the trial starts, because the configuration names none."""
    return cluster.name == ATTACHED and not cluster.nodes


def attached(cluster: ClusterConfig) -> Iterator[str]:
    """One sentence for each thing that is wrong with it, naming key, value and remedy."""
    addresses = {"cluster.address": cluster.address}
    addresses |= {f"cluster.addresses.{name}": address for name, address in cluster.addresses.items()}
    for key, address in addresses.items():
        if address is None:
            continue
        if cluster.name != ATTACHED:
            yield (
                f"{key}={address} applies only to cluster=attached, not to cluster={cluster.name}: leave it"
                f" out, or choose cluster=attached."
            )
        else:
            yield from _address(key, address)
    if cluster.dependencies not in DEPENDENCIES:
        yield (
            f"cluster.dependencies={cluster.dependencies} does not exist:"
            f" {nearest(cluster.dependencies, DEPENDENCIES)}."
        )
    if cluster.name == ATTACHED:
        for name, node in cluster.nodes.items():
            if node.cpus is None:
                yield (
                    f"cluster.nodes.{name}.cpus must be set for cluster=attached (null would mean this"
                    f" machine's cores): give what that node has, such as cluster.nodes.{name}.cpus=8."
                )
    port = cluster.dashboard_port
    if port is not None and cluster.name != EMULATED:
        yield (
            f"cluster.dashboard_port={port} applies only to cluster=emulated, not to cluster={cluster.name}:"
            f" leave it out, or choose cluster=emulated."
        )
    elif port is not None and not 1 <= port <= 65535:
        yield f"cluster.dashboard_port={port} must be between 1 and 65535, or null for no dashboard."


def _address(key: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        yield (
            f"{key}={address} is not the URL of a Ray dashboard; use one such as http://127.0.0.1:8265 (not"
            " the address for ray.init)."
        )
    elif parts.username or parts.password:
        yield f"{key} must not contain a password, because records show it; use RAY_AUTH_TOKEN."
