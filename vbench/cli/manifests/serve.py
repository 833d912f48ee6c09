"""The Serve configuration of the graph: for ``serve run``, ``serve deploy``, and inside other manifests."""

from typing import Any

from vbench.config.schema import Config
from vbench.load.pipeline_args import pipeline_args
from vbench.pipeline.application import APPLICATION
from vbench.pipeline.config import PipelineArgs

IMPORT_PATH = "vbench.pipeline:build"

FIRST = (
    *("mode", "chunk_s", "fps", "handoff", "frame_size", "pixel_format", "chunk_mb", "hwaccel", "prune"),
    *("keyframes_only", "overlap", "window", "model"),
)
"""Arguments in the order in which a reader looks for them; the others follow."""

SERVE_PORT = 8000
"""Serve's own default, for a configuration that leaves the port to the kernel."""


def serve_config(config: Config, host: str = "127.0.0.1") -> dict[str, Any]:
    """As ``ray.serve.schema.ServeDeploySchema`` takes it; ConfigError if the graph refuses a value."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {
            "host": host,
            "port": config.cluster.http_port or SERVE_PORT,
            "request_timeout_s": config.load.timeout_s,
        },
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": "/",
                "import_path": IMPORT_PATH,
                "args": _given(pipeline_args(config)),
            }
        ],
    }


def _given(args: PipelineArgs) -> dict[str, Any]:
    """What differs from the defaults, so that a reader sees what was chosen."""
    given: dict[str, Any] = args.model_dump(mode="json", exclude_defaults=True)
    return {name: given[name] for name in FIRST if name in given} | given
