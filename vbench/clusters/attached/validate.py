"""What must hold for a cluster that runs already, and what is for no other."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from vbench.clusters.emulated.validate import EMULATED
from vbench.config.schema import ClusterConfig
from vbench.config.suggest import nearest

ATTACHED = "attached"

PIP = "pip"
DEPENDENCIES = ("image", PIP)


def attached(cluster: ClusterConfig) -> Iterator[str]:
    """One sentence for each thing that is wrong with it, naming key, value and remedy."""
    addresses = {"cluster.address": cluster.address}
    addresses |= {f"cluster.addresses.{name}": address for name, address in cluster.addresses.items()}
    for key, address in addresses.items():
        if address is None:
            continue
        if cluster.name != ATTACHED:
            yield f"{key}={address} is for cluster=attached, not for cluster={cluster.name}."
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
                yield f"cluster.nodes.{name}.cpus=null: say what the node has, which is not this machine."
    port = cluster.dashboard_port
    if port is not None and cluster.name != EMULATED:
        yield f"cluster.dashboard_port={port} is for cluster=emulated."
    elif port is not None and not 1 <= port <= 65535:
        yield f"cluster.dashboard_port={port} must lie between 1 and 65535, or be null for no dashboard."


def _address(key: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        yield (
            f"{key}={address} is no URL of a Ray dashboard; give one such as http://127.0.0.1:8265 (not the"
            " address that ray.init takes)."
        )
    elif parts.username or parts.password:
        yield f"{key} must not hold a password, which records would show: use RAY_AUTH_TOKEN."
