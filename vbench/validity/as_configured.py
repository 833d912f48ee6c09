"""Whether the service ran as configured: settings, replicas, batches, requests in flight."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from vbench.config.arrivals import is_open
from vbench.config.schema import Config
from vbench.models.inputs import input_spec
from vbench.pipeline.resources import resources_text
from vbench.pipeline.settings import REQUESTS_AT_ONCE, DeploymentSettings
from vbench.record import clock_skew
from vbench.record.intervals import most_at_once
from vbench.record.load_report import Graph, LoadReport
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity import forward_passes
from vbench.validity.catalog.load import IN_FLIGHT
from vbench.validity.catalog.service import BATCHES, REPLICAS, SETTINGS
from vbench.validity.first_problem import first_problem


def judge(
    config: Config, load_report: LoadReport, graph: Graph, requests: Sequence[Request]
) -> Iterator[Rule]:
    """One rule per way in which the service can differ from its configuration."""
    answered = [request for request in requests if request.error is None]
    yield _settings(config, graph, answered)
    yield _replicas(config, graph)
    yield _batches(config, answered, list(forward_passes.problems(config, requests)))
    if not is_open(config.load):
        yield _in_flight(config, requests, clock_skew.apart_s(load_report.clocks_off_s))


def expected_settings(config: Config) -> dict[str, Any]:
    """The expected ``settings`` of a response."""
    pipeline = config.pipeline
    return {
        "mode": config.mode,
        "fps": str(Fraction(str(pipeline.fps))),
        "chunk_s": str(Fraction(str(pipeline.chunk_s))),
        "handoff": pipeline.handoff,
        "frame_size": pipeline.frame_size,
        "pixel_format": pipeline.pixel_format,
        "keyframes_only": pipeline.keyframes_only,
        "prune": pipeline.prune,
        "overlap": pipeline.overlap,
        "window": pipeline.window,
        "chunk_mb": pipeline.chunk_mb,
        "model": config.model.name,
    }


def expected_of_replicas(config: Config) -> dict[str, dict[str, Any]]:
    """Deployment -> the expected settings that its replicas report."""
    model, parts = config.model, config.cluster.deployments
    at_once = parts.service.max_ongoing_requests or REQUESTS_AT_ONCE
    spec = input_spec(model.name)
    share = (parts.service.replicas or 1) / (parts.api.replicas or 1)
    return {
        "VideoProcessingAPI": {
            "at_once": math.ceil(at_once * share),
            "resources": _resources(parts.api),
        },
        "VideoProcessingService": {
            "at_once": at_once,
            "frames_budget_mb": config.pipeline.frames_budget_mb,
            "resources": _resources(parts.service),
        },
        "VideoDecoder": {
            "resources": _resources(parts.decoder),
            "threads": parts.decoder.threads,
            "hwaccel": config.pipeline.hwaccel,
            "pixel_format": config.pipeline.pixel_format,
            "at_once": 1,
        },
        "ModelInference": {
            "resources": _resources(parts.inference),
            **{name: value for name, value in asdict(model).items() if name != "weights"},
            "input": f"{spec.width}x{spec.height}",
            "inference_mode": True,
            "threads": parts.inference.threads,
        },
    }


def _resources(deployment: DeploymentSettings) -> str:
    return resources_text(deployment.needs)


def _differences(who: str, wanted: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in said:
            yield f"{who} does not report its {name}, which is configured as {value}"
        elif said[name] != value:
            yield f"{who} had {name}={said[name]} instead of the configured {value}"


def _settings(config: Config, graph: Graph, answered: Sequence[Request]) -> Rule:
    wanted, of_replicas = expected_settings(config), expected_of_replicas(config)
    wanted["model_fingerprint"] = graph.model_fingerprint
    problems: dict[str, int] = {}
    """What differed, and in how many requests."""
    for request in answered:
        differed = set(_differences("the service", wanted, request.settings))
        for one in request.replicas:
            deployment = one.deployment
            differed |= set(_differences(deployment, of_replicas.get(deployment, {}), one.settings))
        differed |= {
            f"no {name} reports any work"
            for name in of_replicas
            if request.frames_got and not _reports(request, name)
        }
        for text in sorted(differed):
            problems[text] = problems.get(text, 0) + 1
    return SETTINGS.verdict(
        passed=bool(answered) and not problems,
        observed=(
            "; ".join(f"{text} (in {count} of {len(answered)} requests)" for text, count in problems.items())
            or f"{len(wanted) + sum(map(len, of_replicas.values()))} settings as configured"
        ),
    )


def _reports(request: Request, deployment: str) -> bool:
    return any(one.deployment == deployment for one in request.replicas)


def _replicas(config: Config, graph: Graph) -> Rule:
    problems = []
    for name, deployment in _deployments(config).items():
        replicas = deployment.replicas
        wanted = replicas if replicas is not None else graph.replicas_configured.get(name, 1)
        count = sum(one.deployment == name for one in graph.replicas_before)
        if count != wanted:
            problems.append(f"{name} had {count} replicas instead of the configured {wanted}")
    problems += _misplaced(config, graph)
    return REPLICAS.verdict(
        passed=not problems,
        observed="; ".join(problems) or f"{len(graph.replicas_before)} replicas",
    )


def _deployments(config: Config) -> dict[str, DeploymentSettings]:
    """Deployment by the name that Serve has for it."""
    parts = config.cluster.deployments
    return {
        "VideoProcessingAPI": parts.api,
        "VideoProcessingService": parts.service,
        "VideoDecoder": parts.decoder,
        "ModelInference": parts.inference,
    }


def _misplaced(config: Config, graph: Graph) -> Iterator[str]:
    """Replicas on nodes that their deployment does not name, or without the resources that it needs.

    Ray's own resources (``node:...``) are not in the configuration.
    """
    deployments = _deployments(config)
    nodes = config.cluster.nodes
    for one in graph.replicas_before:
        if one.node not in nodes:
            continue
        allowed = deployments[one.deployment].nodes if one.deployment in deployments else []
        if allowed and one.node not in allowed:
            yield f"{one.replica} ran on {one.node}, which is none of the configured {', '.join(allowed)}"
        has = dict(nodes[one.node].resources.items())
        asked = deployments[one.deployment].resources if one.deployment in deployments else {}
        for name, amount in asked.items():
            if not name.startswith("node:") and has.get(name, 0) < amount:
                yield f"{one.replica} ran on {one.node}, which is configured without {name}"


def _batches(config: Config, answered: Sequence[Request], of_passes: Sequence[str]) -> Rule:
    """By the batcher's own count, and by the network's passes (``of_passes``).

    Frames of a call fill batches; only its first batch may be shared with another call. So F frames are in at
    least ceil(F / size) batches and in at most one more than ceil((F - 1) / size).
    """
    size = config.model.batch_size
    problems: list[str] = []
    calls = 0
    for request in answered:
        for one in request.replicas:
            if one.deployment != "ModelInference":
                continue
            for _, frames, batches in one.calls:
                calls += 1
                if not math.ceil(frames / size) <= batches <= math.ceil(max(0, frames - 1) / size) + 1:
                    problems.append(
                        f"{frames} frames of request {request.index} were in {batches} batches, which does"
                        f" not match model.batch_size={size}"
                    )
        told = sum(frames for one in request.replicas for _, frames, batches in one.calls if batches)
        if told != request.frames_got:
            problems.append(
                f"the models report {told} frames of request {request.index}, but the response has"
                f" {request.frames_got}"
            )
    problems += of_passes
    return BATCHES.verdict(
        passed=bool(answered) and not problems,
        observed=(
            first_problem(problems) if problems else f"{calls} calls in batches of at most {size} frames"
        ),
    )


def _in_flight(config: Config, requests: Sequence[Request], off_s: float) -> Rule:
    """By the client's times and by the service's, whose nodes' clocks are at most ``off_s`` apart."""
    wanted = min(config.load.concurrency, len(requests))
    # No request is sent after a failed one, so fewer may have been in flight.
    failed = any(one.error is not None for one in requests)
    by_client = most_at_once([(one.sent_s, one.done_s) for one in requests])
    by_service = most_at_once(
        [
            (one.received_s, one.finished_s)
            for one in requests
            if one.received_s is not None and one.finished_s is not None
        ],
        off_s,
    )
    return IN_FLIGHT.verdict(
        passed=by_client <= wanted if failed else by_client == wanted == by_service,
        observed=(f"at most {by_client} by the client and {by_service} by the service; configured {wanted}"),
    )
