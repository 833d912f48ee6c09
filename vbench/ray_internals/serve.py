"""Serve's actors, by the names that it gives them, and the variable for its proxies' middleware.

The public list of actors, ``ray.util.state.list_actors``, needs the dashboard, which trials do without.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vbench.ray_internals.setting_readers import Role

if TYPE_CHECKING:
    from ray.serve.schema import ServeDeploySchema

PROXY_CALLBACK_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
"""Environment variable of a node: ``MODULE:FUNCTION``, which returns the middleware of Serve's proxies."""

REPLICA_PREFIX = "SERVE_REPLICA::"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaActor:
    """One replica that runs."""

    name: str
    """The actor's."""
    application: str
    deployment: str
    replica: str
    """``DEPLOYMENT#ID``; the replica itself knows the ID as ``ReplicaID.unique_id``."""
    node_id: str
    pid: int
    """On its node."""
    actor: str
    """The name of its actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeActor:
    """An actor of Serve that runs: its controller, a proxy or a replica."""

    role: Role
    name: str
    node_id: str


def controller_is_running() -> bool:
    """Whether Serve runs on the cluster that this process is connected to, with or without applications."""
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME

    return any(actor["Name"] == SERVE_CONTROLLER_NAME for actor in _alive())


def deploy_schema(schema: "ServeDeploySchema") -> None:
    """Deploy the applications of a config file, as ``serve run FILE`` does; returns at once. Serve runs."""
    from ray.serve.context import _get_global_client

    client: Any = _get_global_client()
    client.deploy_apps(schema, _blocking=False)


def proxy_pids() -> list[int]:
    """Process ids of Serve's proxies, each on its own node; of the actors beside HAProxy, if that is on."""
    from ray.serve._private.constants import SERVE_PROXY_NAME

    return [actor["Pid"] for actor in _alive() if SERVE_PROXY_NAME in (actor["Name"] or "")]


def proxy_node() -> str:
    """Ray's id of the node with Serve's proxy, of which a trial has one."""
    (node,) = {actor.node_id for actor in serve_actors() if actor.role is Role.PROXY}
    return node


def replica_actors() -> list[ReplicaActor]:
    """All replicas of all applications, in no particular order."""
    replicas = []
    for actor in _alive():
        name: str = actor["Name"] or ""
        if name.startswith(REPLICA_PREFIX):
            application, deployment, identity = name.removeprefix(REPLICA_PREFIX).split("#")
            replicas.append(
                ReplicaActor(
                    name=name,
                    application=application,
                    deployment=deployment,
                    replica=f"{deployment}#{identity}",
                    node_id=actor["Address"]["NodeID"],
                    pid=actor["Pid"],
                    actor=name,
                )
            )
    return replicas


def serve_actors() -> list[ServeActor]:
    """All actors of Serve on the cluster that this process is connected to."""
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_PROXY_NAME

    starts = {
        SERVE_CONTROLLER_NAME: Role.CONTROLLER,
        SERVE_PROXY_NAME: Role.PROXY,
        REPLICA_PREFIX: Role.REPLICA,
    }
    return [
        ServeActor(role=role, name=actor["Name"], node_id=actor["Address"]["NodeID"])
        for actor in _alive()
        for start, role in starts.items()
        if (actor["Name"] or "").startswith(start)
    ]


def serve_actor_handle(name: str) -> Any:
    """The handle of one of Serve's actors."""
    import ray
    from ray.serve._private.constants import SERVE_NAMESPACE

    return ray.get_actor(name, namespace=SERVE_NAMESPACE)


def controller_handle() -> Any:
    """The handle of Serve's controller."""
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME

    return serve_actor_handle(SERVE_CONTROLLER_NAME)


def _alive() -> Iterator[dict[str, Any]]:
    from ray._private.state import actors

    return (actor for actor in actors().values() if actor["State"] == "ALIVE")
