"""Ray's HTTP clients for the API server of a running cluster, with deadlines and without proxies."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from ray.job_submission import JobSubmissionClient
from ray.util.state import StateApiClient
from ray.util.state.common import ListApiOptions, StateResource

from vbench.ray_internals.node import ADDRESS_VARIABLES

DIRECT: Mapping[str, str] = {"http": "", "https": ""}
"""For ``requests``' ``proxies``: none, whatever the environment says."""


class _Direct:
    """Mixin for Ray's HTTP clients: no request goes through a proxy."""

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        response: requests.Response = super()._do_request(*arguments, **{"proxies": DIRECT, **options})  # type: ignore[misc]
        return response


class JobsClient(_Direct, JobSubmissionClient):  # type: ignore[misc] # Ray has no types here
    """Ray's client of the Jobs API, with a deadline for each response.

    Its methods raise ConnectionError, requests' exceptions, RuntimeError, and AuthenticationError.
    """

    def __init__(
        self, address: str, headers: Mapping[str, str] | None, *, timeout_s: float, slowest_mb_per_s: float
    ) -> None:
        """Connect to the API server at a URL.

        ``headers``: None for those that Ray derives from the environment. ``timeout_s``: for a response, plus
        the time that the request's data takes at ``slowest_mb_per_s``.
        """
        self._timeout_s = timeout_s
        self._slowest_mb_per_s = slowest_mb_per_s
        with _given_address():
            super().__init__(address, headers=dict(headers) if headers else None)

    @property
    def ray_version(self) -> str:
        """Version of the cluster's Ray, as the API server gave it when this client connected."""
        return str(self._server_ray_version)

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        # Sending counts as waiting for the connection.
        sent_mb = len(options.get("data") or b"") / 1e6
        timeout_s = self._timeout_s + sent_mb / self._slowest_mb_per_s
        return super()._do_request(*arguments, **{"timeout": timeout_s, **options})


class _StateClient(_Direct, StateApiClient):  # type: ignore[misc] # Ray has no types here
    """Ray's client of the State API."""


def list_alive_nodes(
    address: str, headers: Mapping[str, str] | None, *, most: int, timeout_s: float
) -> list[Any]:
    """At most ``most`` nodes, with ``node_ip``, ``is_head_node`` and ``resources_total``.

    Raises RayStateApiException, AuthenticationError, RuntimeError and requests' exceptions, as Ray does.
    """
    options = ListApiOptions(limit=most, timeout=int(timeout_s), filters=[("state", "=", "ALIVE")])
    with _given_address():
        client = _StateClient(address=address, headers=dict(headers) if headers else None)
        nodes: list[Any] = client.list(StateResource.NODES, options=options, raise_on_missing_output=True)
    return nodes


@contextmanager
def _given_address() -> Iterator[None]:
    """Without the environment variables that would send a client to another cluster."""
    kept = {name: os.environ.pop(name) for name in ADDRESS_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
