"""``cluster=attached``: checks a running cluster and names its nodes; changes nothing of it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.exceptions import AuthenticationError

from vbench.clusters.attached import api
from vbench.clusters.attached.node_matching import ClusterNode, match
from vbench.clusters.base import NodeAddress, Progress, RunningCluster
from vbench.clusters.ray_node import inherited
from vbench.config.schema import Config
from vbench.errors import InputError
from vbench.ray_internals.authentication import DEFAULT_FILE, MODE, Token, find_token

CHECK_TIMEOUT_S = 15.0
"""How long the check before a trial waits for nodes."""

POLL_S = 0.5

STOP_WAIT_S = 45.0
"""Time that Ray gives the load process, once asked to end, to shut Serve down."""

STOP_GRACE_S = STOP_WAIT_S + 30.0
"""Time that the job submitter has, once asked to end, to stop its job."""


def address_of(config: Config) -> str:
    """URL of the dashboard of the cluster with this runtime; InputError if none is configured."""
    cluster, runtime = config.cluster, config.runtime.name
    address = cluster.addresses.get(runtime, cluster.address)
    if address is None:
        known = f"; cluster.addresses has {', '.join(cluster.addresses)}" if cluster.addresses else ""
        raise InputError(
            f"cluster=attached has no address for runtime={runtime}{known}: set"
            f" cluster.address=http://HOST:8265, or +cluster.addresses.{runtime}=http://HOST:8265."
        )
    return address


def runtime_token(runtime: str) -> Token | None:
    """The token for this runtime's cluster alone, if set, because KubeRay gives each cluster its own; else
    the one that Ray's own tools use.

    InputError if RAY_AUTH_TOKEN_PATH names no file with a token.
    """
    name = f"RAY_AUTH_TOKEN_{runtime.upper()}"
    if value := os.environ.get(name):
        return Token(value=value, source=name)
    try:
        return find_token()
    except AuthenticationError as error:
        raise InputError(
            f"RAY_AUTH_TOKEN_PATH={os.environ.get('RAY_AUTH_TOKEN_PATH')} is no file with a token: give the"
            f" path of one, or unset it to have {DEFAULT_FILE} read."
        ) from error


def _authentication(runtime: str) -> dict[str, str]:
    """Variables by which a process authenticates itself to this runtime's cluster."""
    token = runtime_token(runtime)
    if token is None:
        return {MODE: "disabled"}
    return {MODE: "token", "RAY_AUTH_TOKEN": token.value}


def living_nodes(config: Config) -> list[ClusterNode]:
    """The nodes of this configuration's cluster as they are now; InputError if it does not list them."""
    address, token = address_of(config), runtime_token(config.runtime.name)
    api.connect(address, token)
    return api.nodes(address, token)


def _nodes(config: Config, wait_s: float) -> tuple[str, list[NodeAddress]]:
    """The cluster's address and nodes. Waits for nodes that have not joined yet, as in a new cluster."""
    address, nodes = address_of(config), config.cluster.nodes
    token = runtime_token(config.runtime.name)
    api.connect(address, token)
    deadline = time.monotonic() + wait_s
    while len(alive := api.nodes(address, token)) < len(nodes) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return address, match(nodes, alive, address)


def check(config: Config) -> None:
    """InputError if the cluster cannot be reached or is not the one configured."""
    _nodes(config, CHECK_TIMEOUT_S)


@contextmanager
def start(config: Config, log: Path, progress: Progress) -> Iterator[RunningCluster]:
    """The cluster, with its nodes as they are now. ``log`` only says where Ray's logs are."""
    progress("checking the cluster")
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
