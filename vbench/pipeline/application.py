"""The application for Serve: ``serve run vbench.pipeline:build mode=combined model=shapes``."""

from typing import TYPE_CHECKING, Any, get_args

from vbench.models.inputs import input_spec
from vbench.pipeline.config import DeploymentName, PipelineArgs
from vbench.ray_internals.node import NODE_LABEL
from vbench.video.fetch.local_files import default_roots

if TYPE_CHECKING:
    from ray.serve import Application

APPLICATION = "vbench"
"""The name that Serve knows the graph by."""

HEALTH_CALLS = 8
"""Calls of a replica in addition to those for its work: a fully busy one still answers ``/healthz``."""

NAMES: tuple[DeploymentName, ...] = get_args(DeploymentName)


def deployment_options(args: PipelineArgs) -> dict[DeploymentName, dict[str, Any]]:
    """Serve's options of each deployment, by its name: replicas, placement, limits."""
    options: dict[DeploymentName, dict[str, Any]] = {}
    for name in NAMES:
        deployment = args.deployment(name)
        options[name] = {
            "name": name,
            "num_replicas": deployment.replicas,
            "ray_actor_options": {
                "num_cpus": deployment.cpus,
                "num_gpus": deployment.gpus,
                "resources": dict(deployment.resources),
            },
            "max_ongoing_requests": args.max_ongoing(name) + HEALTH_CALLS,
            "health_check_period_s": 2,
            "health_check_timeout_s": 30,
            # The wait must be shorter than the timeout, or every replica is killed at the end of it.
            "graceful_shutdown_wait_loop_s": 0.2,
            "graceful_shutdown_timeout_s": 2,
        }
        if deployment.nodes:
            selector = {NODE_LABEL: f"in({','.join(deployment.nodes)})"}
            options[name]["ray_actor_options"]["label_selector"] = selector
        if deployment.max_replicas_per_node is not None:
            options[name]["max_replicas_per_node"] = deployment.max_replicas_per_node
    return options


def build(args: PipelineArgs) -> "Application":
    """The four deployments, bound; ModelError for a model that is not known."""
    from ray import serve

    from vbench.pipeline.api import VideoProcessingAPI
    from vbench.pipeline.decoder import VideoDecoder
    from vbench.pipeline.inference import ModelInference
    from vbench.pipeline.service import VideoProcessingService

    input_spec(args.model.name)
    if args.roots is None:
        args = args.model_copy(update={"roots": default_roots()})
    options = deployment_options(args)

    def deployed(cls: type[Any], name: DeploymentName) -> Any:
        return serve.deployment(cls, **options[name])

    decoder = deployed(VideoDecoder, "VideoDecoder").bind(args)
    inference = deployed(ModelInference, "ModelInference").bind(args)
    service = deployed(VideoProcessingService, "VideoProcessingService").bind(args, decoder, inference)
    return deployed(VideoProcessingAPI, "VideoProcessingAPI").bind(args, service)
