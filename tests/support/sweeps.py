"""Whole sweeps on disk to compare, made from small records without running anything."""

import functools
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.support import records
from vbench.analysis.bottleneck import find_bottleneck
from vbench.config.designs import FULL, arms
from vbench.record.files import MACHINES, NODES, REQUESTS, SPANS, SWEEP, TRIAL, write_json, write_lines
from vbench.record.measurements import Measurements
from vbench.record.network import Link
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import NodeSample
from vbench.record.sweep_design import sweep_design
from vbench.record.trial import Rule

NODES_OF_PUBLISHED = ("head", "gpu", "chunk1", "chunk2", "decode")
NIC_MBPS = {"head": 125.0, "gpu": 500.0, "chunk1": 250.0, "chunk2": 250.0, "decode": 250.0}
ENVIRONMENT = {
    "host": "bench",
    "kernel": "6.1",
    "machine": "x86_64",
    "cpu": "some",
    "cores": 2,
    "memory_mb": 8000,
    "python": "3.11.7",
    "packages": {"ray": "2.60.0"},
    "git_revision": "abc",
    "git_clean": True,
}

Latency = Callable[[Mapping[str, str], int], float]
"""Mean latency in s of the trial with these settings in this block."""


def write_sweep(
    folder: Path,
    swept: Mapping[str, Iterable[str]],
    blocks: int,
    latency: Latency,
    design: str = FULL,
    **changes: Callable[[Mapping[str, str], int], Any],
) -> Path:
    """A sweep of this design, in blocks; ``changes`` make fields of a trial from settings and block."""
    values = {key: tuple(options) for key, options in swept.items()}
    combinations = [
        {key: values[key][level] for key, level in zip(values, levels, strict=True)}
        for levels in arms(design, values)
    ]
    plan, number = [], 0
    for block in range(blocks):
        for settings in combinations:
            write_trial(
                folder / str(number),
                settings,
                block,
                latency(settings, block),
                **{name: make(settings, block) for name, make in changes.items()},
            )
            arm = " ".join(f"{key}={value}" for key, value in settings.items())
            plan.append({"folder": str(number), "block": block, "arm": arm, "overrides": []})
            number += 1
    sweep = {
        "sweep_id": f"sw-{folder.name}",
        "started": "2026-01-01T00:00:00+00:00",
        "swept": list(swept),
        "arguments": ["--multirun"],
        "blocks": blocks,
        "trials": plan,
        **({} if design == FULL else {"design": asdict(sweep_design(design, values))}),
    }
    (folder / SWEEP).write_text(json.dumps(sweep))
    return folder


def write_trial(
    folder: Path, settings: Mapping[str, str], block: int, latency_s: float, **changes: Any
) -> None:
    """A trial of 8 requests on the published topology, all of whose lines fit together."""
    overrides = [f"{key}={value}" for key, value in settings.items()]
    config = _config("cluster=emulated", "pipeline=published", *overrides)
    folder.mkdir(parents=True)
    requests = _requests(f"{settings} {block}", latency_s)
    spans = [span for request in requests for span in _spans(request)]
    first, last = min(r.scheduled_s for r in requests), max(r.done_s for r in requests)
    links = [Link(node=node, nic_mbps=NIC_MBPS[node], flow_mbps=100.0) for node in NODES_OF_PUBLISHED]
    network = records.network(*NODES_OF_PUBLISHED, links=links, checks=[])
    metrics = {
        "requests": float(len(requests)),
        "latency_mean_s": sum(r.latency_s for r in requests) / len(requests),
        "makespan_s": last - first,
        "throughput_requests_per_s": len(requests) / (last - first),
        "wire_mb_per_request": 520.0,
        "sent_over_needed": 1.04,
    }
    for stage in ("chunk", "decode", "infer"):
        for kind in ("queue", "transfer", "compute"):
            took = sum(s.end_s - s.start_s for s in spans if (s.stage, s.kind) == (stage, kind))
            metrics[f"{stage}_{kind}_s"] = took / len(requests)
    fields: dict[str, Any] = {
        "trial_id": f"{folder.parent.name}-{folder.name}",
        "arm": " ".join(overrides),
        "swept": dict(settings),
        "block": block,
        "started": f"2026-01-01T{block:02d}:00:{int(folder.name):02d}+00:00",
        "config": config,
        "environment": ENVIRONMENT,
        "metrics": metrics,
        "network": network,
        "load_report": records.load_report(
            placement={"VideoDecoder": {"decode": 2}, "ModelInference": {"gpu": 1}},
        ),
        **changes,
    }
    trial = records.trial(**fields)
    samples = _samples(first, last, latency_s)
    machines = [records.machine(first), records.machine(last)]
    measured = Measurements(
        requests=requests, spans=spans, nodes=samples, machines=machines, network=trial.network
    )
    write_json(folder / TRIAL, replace(trial, bottleneck=find_bottleneck(trial, measured)))
    write_lines(folder / REQUESTS, requests)
    write_lines(folder / SPANS, spans)
    write_lines(folder / NODES, samples)
    write_lines(folder / MACHINES, machines)


@functools.cache
def _config(*overrides: str) -> dict[str, Any]:
    return asdict(records.config(*overrides))


def broken_rule() -> list[Rule]:
    return [
        Rule(name="nothing was spilled to disk", passed=False, observed="12 MB spilled", remedy="more store")
    ]


def _requests(name: str, latency_s: float) -> list[Request]:
    """Eight requests, four at a time, whose mean latency is exactly as asked."""
    draw = random.Random(name)
    shares = [1 + draw.uniform(-0.15, 0.15) for _ in range(8)]
    scale = latency_s * 8 / sum(shares)
    free = [100.0] * 4
    requests = []
    for index, share in enumerate(shares):
        at = min(range(4), key=free.__getitem__)
        start, free[at] = free[at], free[at] + share * scale
        requests.append(
            records.request(
                index,
                scheduled_s=start,
                sent_s=start,
                done_s=free[at],
                sent_unix_s=1.7e9 + start,
                frame_bytes=200_000_000,
                video_s=36.0,
            )
        )
    return requests


def _spans(request: Request) -> list[SpanLine]:
    """Three chunks, one after the other, relayed: half of the time the frames are on the wire."""
    shares = (
        ("chunk", "compute", 0.02, "chunk1", "VideoProcessingService#1", 0),
        ("decode", "transfer", 0.05, "decode", "VideoDecoder#1", 1_000_000),
        ("decode", "queue", 0.1, "decode", "VideoDecoder#1", 0),
        ("decode", "compute", 0.2, "decode", "VideoDecoder#1", 0),
        ("infer", "transfer", 0.25, "chunk1", "VideoProcessingService#1", 66_000_000),
        ("infer", "queue", 0.05, "chunk1", "VideoProcessingService#1", 0),
        ("infer", "transfer", 0.25, "gpu", "ModelInference#1", 66_000_000),
        ("infer", "compute", 0.06, "gpu", "ModelInference#1", 0),
    )
    at = request.sent_unix_s
    spans = []
    for chunk in range(3):
        for stage, kind, share, node, replica, nbytes in shares:
            end = at + share * request.latency_s / 3
            spans.append(
                records.span(
                    stage,
                    kind,
                    nbytes=nbytes,
                    request=request.index,
                    chunk=chunk,
                    node=node,
                    replica=replica,
                    start_s=at,
                    end_s=end,
                )
            )
            at = end
    return spans


def _samples(first: float, last: float, latency_s: float) -> list[NodeSample]:
    samples = []
    for node in NODES_OF_PUBLISHED:
        draw, sent, received = random.Random(f"{node} {latency_s}"), 0, 0
        for step in range(int(last - first) + 1):
            samples.append(
                records.sample(first + step, node=node, nic_sent_bytes=sent, nic_received_bytes=received)
            )
            sent += int(draw.uniform(0.3, 0.95) * NIC_MBPS[node] * 1e6 / 8)
            received += int(draw.uniform(0.1, 0.6) * NIC_MBPS[node] * 1e6 / 8)
    return samples
