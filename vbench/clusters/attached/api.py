"""The API server of a cluster that runs already: who it is, which nodes it has, and jobs on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient
from ray.util.state import StateApiClient
from ray.util.state.common import ListApiOptions, StateResource
from ray.util.state.exception import RayStateApiException

from vbench.clusters.attached.node_matching import FoundNode
from vbench.errors import InputError, first_line
from vbench.linux.proxies import DIRECT

ANSWER_S = 30.0
"""An API server that says nothing for so long is taken for lost; Ray's own client would wait for ever."""

SLOWEST_MB_PER_S = 0.25
"""A package that goes up more slowly is given up."""

MOST_NODES = 1000

OVERRULING = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables by which Ray's client would go to another cluster than it is told."""


class _Direct:
    """Mixin for Ray's HTTP clients: they take no proxy to the cluster, whatever the environment says."""

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        response: requests.Response = super()._do_request(*arguments, **{"proxies": DIRECT, **options})  # type: ignore[misc]
        return response


class _StateApi(_Direct, StateApiClient):  # type: ignore[misc] # Ray has no types here
    """Ray's client of the State API."""


class ApiServer(_Direct, JobSubmissionClient):  # type: ignore[misc] # Ray has no types here
    """Ray's client of the Jobs API, with a deadline for each answer. ConnectionError, requests' exceptions,
    AuthenticationError and RuntimeError are what its methods raise."""

    def __init__(self, address: str, token: str | None = None) -> None:
        with _nothing_overrules():
            super().__init__(address, headers=_authorized(token))

    @property
    def ray_version(self) -> str:
        """Of the cluster."""
        return str(self._server_ray_version)

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        # Sending counts as waiting for the connection.
        sent_mb = len(options.get("data") or b"") / 1e6
        timeout_s = ANSWER_S + sent_mb / SLOWEST_MB_PER_S
        return super()._do_request(*arguments, **{"timeout": timeout_s, **options})


@contextmanager
def _nothing_overrules() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in OVERRULING if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _authorized(token: str | None) -> dict[str, str] | None:
    """Headers with this token; None leaves it to Ray, which takes the one of the environment."""
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if token else None


def connect(address: str, token: str | None = None) -> ApiServer:
    """The API server at a URL; InputError, in one sentence, where it cannot be reached, does not let us in,
    or runs another Ray than this one, whose private parts the load process uses.

    ``token``: of this cluster; None for the one that Ray finds in the environment.
    """
    key = f"cluster.address={address}"
    try:
        server = ApiServer(address, token)
    except (AuthenticationError, PermissionError) as error:
        raise InputError(
            f"{key} does not let us in ({first_line(error)}): set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or"
            " RAY_AUTH_TOKEN_<RUNTIME> where each runtime's cluster has its own."
        ) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # requests' exceptions are OSErrors
        raise InputError(
            f"{key} cannot be reached ({first_line(error)}): give the URL of a Ray dashboard that this"
            " machine can open, such as http://127.0.0.1:8265 after 'kubectl port-forward"
            " service/NAME-head-svc 8265'."
        ) from error
    if server.ray_version != ray.__version__:
        raise InputError(
            f"{key} runs Ray {server.ray_version}, and this is Ray {ray.__version__}: use an image with"
            f" ray=={ray.__version__}, for which vbench is made."
        )
    return server


def nodes(address: str, token: str | None = None) -> list[FoundNode]:
    """The nodes alive; InputError where the API server does not tell. ``token`` as for ``connect``."""
    options = ListApiOptions(limit=MOST_NODES, timeout=int(ANSWER_S), filters=[("state", "=", "ALIVE")])
    try:
        with _nothing_overrules():
            client = _StateApi(address=address, headers=_authorized(token))
            listed = client.list(StateResource.NODES, options=options, raise_on_missing_output=True)
    except (RayStateApiException, AuthenticationError, OSError, RuntimeError) as error:
        raise InputError(
            f"cluster.address={address} does not tell its nodes ({first_line(error)})."
        ) from error
    return [
        FoundNode(ip=node.node_ip, is_head=node.is_head_node, resources=node.resources_total)
        for node in listed
    ]
