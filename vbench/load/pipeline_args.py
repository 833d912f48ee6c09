"""From a trial's configuration to the arguments of the served graph."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from vbench.config.schema import Config, PipelineConfig
from vbench.config.sizing import deployments, replicas
from vbench.errors import ConfigError
from vbench.pipeline.config import PipelineArgs, VideoLimitArgs
from vbench.pipeline.settings import REQUESTS_AT_ONCE
from vbench.video.addresses import path_of, scheme_of


def pipeline_args(config: Config, *clips: Path) -> PipelineArgs:
    """What ``vbench.pipeline:build`` takes; ConfigError if the graph refuses a value.

    ``clips``: for the service of a trial, where its videos lie. It may read their folders and no others, or
    the host that the video's address names, public or not.
    """
    values: dict[str, Any] = {
        **_without_name(config.pipeline),
        "mode": config.mode,
        "request_timeout_s": config.load.timeout_s,
        "queue_length": _queue_length(config),
        "fetch_timeout_s": config.video.fetch_timeout_s,
        "model": {**asdict(config.model), "weights": _absolute(config.model.weights)},
        **_reach(config, clips),
    }
    for name, deployment in deployments(config.cluster).items():
        values[name] = {**asdict(deployment), "replicas": replicas(config.cluster, name)}
    try:
        return PipelineArgs.model_validate(values)
    except ValidationError as error:
        raise ConfigError(" ".join(_sentence(item) for item in error.errors())) from error


def _without_name(pipeline: PipelineConfig) -> dict[str, Any]:
    """All settings; the name of the option that they come from is none of the service's."""
    return {name: value for name, value in asdict(pipeline).items() if name != "name"}


def _reach(config: Config, clips: Sequence[Path]) -> dict[str, Any]:
    """What the service may read: what the configuration names, and what lies beside it."""
    source = config.video.path or ""
    scheme = scheme_of(source)
    reach: dict[str, Any] = {"sources": [scheme]}
    if scheme == "file":
        named = clips or ([path_of(source)] if source else [])
        if named:
            folders = (str(path.expanduser().resolve().parent) for path in named)
            reach["roots"] = list(dict.fromkeys(folders))
        return reach
    if not clips:
        return reach
    if scheme in ("http", "https"):
        reach["private_sources"] = [urlsplit(source).hostname or ""]
    # A trial's requests all fetch this one video, as many at a time as there are requests in progress.
    reach["limits"] = {"max_fetched_bytes": VideoLimitArgs().max_size_bytes, "max_disk_share": 1.0}
    reach["max_fetches"] = config.cluster.deployments.service.max_ongoing_requests or REQUESTS_AT_ONCE
    return reach


def fetched_at_once(config: Config) -> int:
    """Copies of a remote video that the services have at a time: one per request in progress."""
    service = config.cluster.deployments.service
    at_once = (service.max_ongoing_requests or REQUESTS_AT_ONCE) * replicas(config.cluster, "service")
    return min(at_once, config.load.concurrency)


def _queue_length(config: Config) -> int:
    """As configured; by default room for the whole closed loop, so that no request of a trial is refused."""
    default: int = PipelineArgs.model_fields["queue_length"].default
    given = config.pipeline.queue_length
    return max(default, config.load.concurrency) if given is None else given


def _absolute(weights: str) -> str:
    """A path of weights as replicas can use it, whatever folder they run in; other names as they are."""
    path = Path(weights).expanduser()
    return str(path.resolve()) if path.exists() or weights.startswith(("/", "./", "../", "~")) else weights


GROUPS = {"api": "cluster.deployments", "service": "cluster.deployments", "model": ""}
GROUPS |= {"decoder": "cluster.deployments", "inference": "cluster.deployments"}


def _sentence(item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    message = str(item["msg"]).removeprefix("Value error, ")
    if not path:
        return f"{message}."
    group = GROUPS.get(path[0], "pipeline")
    return f"{'.'.join([group, *path] if group else path)}={item['input']}: {message}."
