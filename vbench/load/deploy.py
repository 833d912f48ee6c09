"""Deploys an application of Serve on a running cluster, with a deadline, and lists its replicas."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeDeploySchema

from vbench.clusters.base import ClusterEndpoint
from vbench.config.schema import Config
from vbench.config.sizing import deployments
from vbench.errors import SEE_LOGS, InputError, TrialError, last_location, last_reason
from vbench.linux.ports import held_port, port_taken
from vbench.load.entrance import HOST, Entrance, entrance, listening_host
from vbench.load.events import progress
from vbench.load.pipeline_args import pipeline_args
from vbench.pipeline.application import APPLICATION, build
from vbench.ray_internals.ingress import Ingress, ingress_of
from vbench.ray_internals.serve import controller_is_running, deploy_schema, replica_actors
from vbench.record.load_report import PlacedReplica
from vbench.telemetry.serve_calls import deployment_title

POLL_S = 0.1
END_S = 60.0
"""Time within which Serve ends that was asked to."""

NO_REASON = "Serve gives no reason, as for a constructor that has not returned yet"

HONOURED = {"root_path", "keep_alive_timeout_s"}
"""Of the HTTP options in a config file; a trial has its own address and timeout."""


@contextmanager
def exclusive_serve(endpoint: ClusterEndpoint) -> Iterator[None]:
    """On an attached cluster, Serve runs for this block only.

    TrialError if Serve is already running: the trial would measure both, and shut both down. On a cluster of
    the trial's own this does nothing: the whole cluster ends with the trial.
    """
    if endpoint.is_here:
        yield
        return
    if controller_is_running():
        there = ", ".join(serve.status().applications) or "no application"
        raise TrialError(
            f"Ray Serve is already running on this cluster ({there}), and the trial would measure both;"
            " stop it (serve shutdown), or use another cluster"
        )
    try:
        yield
    finally:
        progress("shutting Serve down")
        serve.shutdown()
        _wait_for_end()


def _wait_for_end() -> None:
    """With HAProxy or direct ingress, ``serve.shutdown`` gives up after 30 s and Serve ends a little later:
    the next trial would find it running."""
    deadline = time.monotonic() + END_S
    while controller_is_running() and time.monotonic() < deadline:
        time.sleep(POLL_S)


@contextmanager
def reserved_port(config: Config) -> Iterator[int]:
    """The port for the trial's proxy, reserved while the block runs.

    InputError if the configuration names one that is taken.
    """
    asked = config.cluster.http_port
    with ExitStack() as stack:
        try:
            by_address = ingress_of(config.runtime.env) is Ingress.HAPROXY
            port = stack.enter_context(held_port(HOST, asked, by_address=by_address))
        except OSError as error:
            raise InputError(port_taken(HOST, asked)) from error
        yield port


def deploy(
    config: Config, clips: Sequence[Path], port: int, deployment_id: str, node_names: Mapping[str, str]
) -> Entrance:
    """Start Serve and the four deployments for ``clips``; where requests go once all are running.

    ``deployment_id`` is in each response. ``node_names``: Ray's node id -> name.
    TrialError if the pipeline cannot be deployed, or not in time.
    """
    args = pipeline_args(config, *clips)
    ids = {name: node_id for node_id, name in node_names.items()}
    placed = {
        name: part.model_copy(update={"nodes": [ids[node] for node in part.nodes]})
        for name in deployments(config.cluster)
        if (part := getattr(args, name)).nodes
    }
    application = build(args.model_copy(update={"deployment_id": deployment_id, **placed}))
    return deploy_application(config, application, port, name=APPLICATION, what="the pipeline")


def deploy_application(
    config: Config, application: serve.Application, port: int, *, name: str, what: str
) -> Entrance:
    """Start Serve with a proxy on the head, and the application as ``name``; where its requests go once all
    of it runs.

    ``what``: the application in messages. TrialError if it cannot be deployed, or not in time.
    """
    _start(config, port, {})
    target = serve.RunTarget(application, name=name, route_prefix="/")
    serve.run_many([target], wait_for_applications_running=False)
    _wait(name, what, time.monotonic() + config.cluster.deploy_timeout_s, config)
    return entrance(config, port)


def deploy_file(config: Config, schema: ServeDeploySchema, port: int) -> Entrance:
    """The same for all applications of one of Serve's config files, as ``serve run`` deploys them."""
    _start(config, port, schema.http_options.model_dump(include=HONOURED))
    deploy_schema(schema)
    deadline = time.monotonic() + config.cluster.deploy_timeout_s
    for one in schema.applications:
        _wait(one.name, f"application {one.name}", deadline, config)
    return entrance(config, port)


def _start(config: Config, port: int, options: Mapping[str, Any]) -> None:
    """Start Serve with these HTTP options and the trial's own."""
    own = {"host": listening_host(config), "port": port, "request_timeout_s": config.load.timeout_s}
    serve.start(proxy_location="HeadOnly", http_options={**options, **own})


def _wait(name: str, what: str, deadline: float, config: Config) -> None:
    timeout_s = config.cluster.deploy_timeout_s
    while True:
        application = serve.status().applications.get(name)
        parts = application.deployments if application else {}
        ready = sum(part.status.value == "HEALTHY" for part in parts.values())
        progress("deploying", ready, max(4 if name == APPLICATION else 1, len(parts)))
        if application and application.status == ApplicationStatus.RUNNING:
            return
        if application and application.status in (
            ApplicationStatus.DEPLOY_FAILED,
            ApplicationStatus.UNHEALTHY,
        ):
            raise TrialError(f"{what} could not be deployed: {failure_reason(application)}; {SEE_LOGS}")
        if time.monotonic() > deadline:
            waiting = [part_name for part_name, part in parts.items() if part.status.value != "HEALTHY"]
            reason = failure_reason(application) if application else "Serve gives no status"
            raise TrialError(
                f"{', '.join(waiting) or what} did not start within"
                f" cluster.deploy_timeout_s={timeout_s:g}: {reason}; raise it on a slow machine, and"
                f" {SEE_LOGS}"
            )
        time.sleep(POLL_S)


def failure_reason(application: ApplicationStatusOverview) -> str:
    """The first deployment that Serve gives a reason for, with what its constructor raised, and in
    which line of the user's."""
    for name, part in application.deployments.items():
        if part.message:
            return f"{name}: {last_reason(part.message, NO_REASON)}{last_location(part.message)}"
    return f"{last_reason(application.message, NO_REASON)}{last_location(application.message)}"


def replicas(node_names: Mapping[str, str], application: str) -> list[PlacedReplica]:
    """The application's replicas, as spans name them."""
    return sorted(
        (
            PlacedReplica(replica=actor.replica, node=node_names.get(actor.node_id, actor.node_id))
            for actor in replica_actors()
            if actor.application == application
        ),
        key=lambda placed: placed.replica,
    )


def placement(node_names: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Deployment, with its application if there are several -> node -> replicas.

    ``node_names``: Ray's node id -> name.
    """
    counts: dict[str, Counter[str]] = {}
    actors = replica_actors()
    several = len({actor.application for actor in actors}) > 1
    for actor in actors:
        node = node_names.get(actor.node_id, actor.node_id)
        counts.setdefault(deployment_title(actor, several=several), Counter())[node] += 1
    return {deployment: dict(by_node) for deployment, by_node in sorted(counts.items())}
