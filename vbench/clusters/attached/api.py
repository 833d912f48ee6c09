"""The API server of a running cluster: its Ray version, its nodes, and a client for jobs."""

import os

import ray
from ray.exceptions import AuthenticationError
from ray.util.state.exception import RayStateApiException

from vbench.clusters.attached.node_matching import ClusterNode
from vbench.errors import InputError, first_line
from vbench.ray_internals.api_server import JobsClient, list_alive_nodes
from vbench.ray_internals.authentication import MODE, SOURCES, Token
from vbench.ray_internals.version import version_problem

RESPONSE_TIMEOUT_S = 30.0
"""An API server that does not respond for this long is given up. Ray's own client would wait for ever."""

SLOWEST_MB_PER_S = 0.25
"""A package whose upload is slower is given up."""

MOST_NODES = 1000


NO_TOKEN = (
    "put the token that 'ray get-auth-token' prints on its head into RAY_AUTH_TOKEN or ~/.ray/auth_token"
)


def _authorized(token: Token | None) -> dict[str, str] | None:
    """Headers with this token; None to have Ray use the token of the environment."""
    if token is None:
        return None
    return {"Authorization": f"Bearer {token.value}", "Content-Type": "application/json"}


def _rejected(key: str, token: Token | None, error: Exception) -> InputError:
    """The sentence for a cluster that wants another token, or one at all."""
    if token is None and not any(map(os.environ.get, SOURCES)):
        disabled = os.environ.get(MODE, "").lower() == "disabled"
        remedy = f"unset {MODE}, which disables tokens here" if disabled else NO_TOKEN
        return InputError(f"{key} needs a token, and none was found: {remedy}.")
    source = token.source if token else next(filter(os.environ.get, SOURCES))
    return InputError(
        f"{key} rejected the credentials of {source} ({first_line(error)}): {NO_TOKEN}, or into"
        f" RAY_AUTH_TOKEN_<RUNTIME> if each runtime's cluster has its own."
    )


def connect(address: str, token: Token | None = None) -> JobsClient:
    """A client of the API server at a URL.

    InputError if it cannot be reached, rejects the credentials, or runs another version of Ray than is
    installed here, whose internals the load process uses.

    ``token``: of this cluster; None for the token that Ray finds in the environment.
    """
    if (problem := version_problem()) is not None:
        raise InputError(problem)
    key = f"cluster.address={address}"
    try:
        server = JobsClient(
            address, _authorized(token), timeout_s=RESPONSE_TIMEOUT_S, slowest_mb_per_s=SLOWEST_MB_PER_S
        )
    except (AuthenticationError, PermissionError) as error:
        raise _rejected(key, token, error) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # requests' exceptions are OSErrors
        raise InputError(
            f"{key} cannot be reached ({first_line(error)}): give the URL of a Ray dashboard that this"
            " machine can open, such as http://127.0.0.1:8265 after 'kubectl port-forward"
            " service/NAME-head-svc 8265'."
        ) from error
    if server.ray_version != ray.__version__:
        raise InputError(
            f"{key} runs Ray {server.ray_version}, but Ray {ray.__version__} is installed here; use an image"
            f" with ray=={ray.__version__}, the version that vbench supports."
        )
    return server


def nodes(address: str, token: Token | None = None) -> list[ClusterNode]:
    """The living nodes; InputError if the API server does not list them. ``token`` as for ``connect``."""
    try:
        listed = list_alive_nodes(address, _authorized(token), most=MOST_NODES, timeout_s=RESPONSE_TIMEOUT_S)
    except (RayStateApiException, AuthenticationError, OSError, RuntimeError) as error:
        raise InputError(
            f"cluster.address={address} did not list its nodes ({first_line(error)}): check that its"
            f" dashboard shows them, and 'ray status' on its head."
        ) from error
    return [
        ClusterNode(ip=node.node_ip, is_head=node.is_head_node, resources=node.resources_total)
        for node in listed
    ]
