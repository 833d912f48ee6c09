"""``cluster=attached`` as a trial sees it: checked, its nodes named, and left as it was."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.clusters.attached import api
from vbench.clusters.attached.node_matching import match
from vbench.clusters.base import NodeAddress, Progress, RunningCluster
from vbench.clusters.ray_node import inherited
from vbench.config.schema import Config
from vbench.errors import InputError

AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""What of the user's own environment lets the submitter into the cluster."""

CHECK_TIMEOUT_S = 15.0
"""Before anything else is done, nodes are waited for no longer."""

POLL_S = 0.5

STOP_WAIT_S = 45.0
"""Time that Ray gives the load process, once it is asked to end, to take down what it has served."""

STOP_GRACE_S = STOP_WAIT_S + 30.0
"""Time that the submitter has, once asked to end, to stop its job: more than it takes itself."""


def address_of(config: Config) -> str:
    """The dashboard's URL of the cluster that has this runtime; InputError where none is given."""
    cluster, runtime = config.cluster, config.runtime.name
    address = cluster.addresses.get(runtime, cluster.address)
    if address is None:
        known = f"; cluster.addresses has {', '.join(cluster.addresses)}" if cluster.addresses else ""
        raise InputError(
            f"cluster=attached has no address for runtime={runtime}{known}: give"
            f" cluster.address=http://HOST:8265, or +cluster.addresses.{runtime}=http://HOST:8265."
        )
    return address


def runtime_token(runtime: str) -> str | None:
    """The token of this runtime's cluster alone, if the environment has one: KubeRay gives each its own."""
    return os.environ.get(f"RAY_AUTH_TOKEN_{runtime.upper()}") or None


def _authentication(runtime: str) -> dict[str, str]:
    """What lets a process into the cluster of this runtime."""
    token = runtime_token(runtime)
    if token:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    return {name: os.environ[name] for name in AUTHENTICATION if name in os.environ}


def _nodes(config: Config, wait_s: float) -> tuple[str, list[NodeAddress]]:
    """Nodes that have not joined yet are waited for: a cluster that has just been made takes its time."""
    address, nodes = address_of(config), config.cluster.nodes
    token = runtime_token(config.runtime.name)
    api.connect(address, token)
    deadline = time.monotonic() + wait_s
    while len(found := api.nodes(address, token)) < len(nodes) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return address, match(nodes, found, address)


def check(config: Config) -> None:
    """InputError, in one sentence, where the cluster cannot be reached or is not the one configured."""
    _nodes(config, CHECK_TIMEOUT_S)


@contextmanager
def start(config: Config, log: Path, progress: Progress) -> Iterator[RunningCluster]:
    """The cluster, whose nodes are looked up anew; nothing of it is changed. ``log``: nothing to say."""
    progress("looking at the cluster")
    address, nodes = _nodes(config, config.cluster.start_timeout_s)
    log.write_text(f"{address}: Ray's logs are on its nodes\n")
    submitter = (sys.executable, "-m", "vbench.load.ray_job.submit")
    yield RunningCluster(
        address="auto",
        temp_dir="",
        load_env=inherited() | _authentication(config.runtime.name),
        exit_status=lambda: None,
        nodes=tuple(nodes),
        enter=(*submitter, address, config.cluster.dependencies),
        is_here=False,
        load_grace_s=STOP_GRACE_S,
    )
