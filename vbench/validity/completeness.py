"""Whether a record has every fact that its rules need, so that missing facts do not count as correct."""

from collections.abc import Iterator, Sequence

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.emulated.validate import EMULATED
from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.ray_internals.ingress import Ingress, ingress_of
from vbench.record.clip import Clip
from vbench.record.condition_owners import HARNESS, LOAD, MACHINE, RAYLET
from vbench.record.harness import Harness
from vbench.record.load_report import Graph, LoadReport
from vbench.record.measurements import Measurements
from vbench.record.requests import Request
from vbench.record.speed_change import is_bounded
from vbench.record.trial import Rule
from vbench.validity.catalog.record import COMPLETE

STAGES_SEEN = ("VideoDecoder", "ModelInference")
"""Deployments whose work is observed where it is done."""


def judge(
    config: Config,
    load_report: LoadReport,
    measured: Measurements,
    clip: Clip | None,
    harness: Harness | None,
) -> Iterator[Rule]:
    """The rule; none for older records, in which the harness recorded nothing."""
    if harness is None:
        return
    missing = [
        *_of_harness(config, harness),
        *_of_load(config, load_report, measured.requests, clip),
        *_of_watchers(config, load_report, measured),
    ]
    yield COMPLETE.verdict(
        passed=not missing,
        observed=(f"missing: {', '.join(missing)}" if missing else "it has all facts that the rules need"),
    )


def _of_harness(config: Config, harness: Harness) -> Iterator[str]:
    is_here = config.cluster.name != ATTACHED
    if HARNESS not in harness.conditions:
        yield "the harness's conditions"
    if is_here and f"{HARNESS}{MACHINE}" not in harness.conditions:
        yield "the machine's conditions"
    if is_here and not harness.stalls:
        yield "the harness's stalls"
    if is_here and is_bounded(config.load.max_speed_change_percent):
        if harness.speed_before is None:
            yield "the machine's speed before the trial"
        if harness.speed_after is None:
            yield "the machine's speed after the trial"


def _of_load(
    config: Config, load_report: LoadReport, requests: Sequence[Request], clip: Clip | None
) -> Iterator[str]:
    if not load_report.stalls:
        yield "the stalls of the load process"
    if LOAD not in load_report.conditions:
        yield "the conditions of the load process"
    for name in config.cluster.nodes:
        if f"{RAYLET}{name}" not in load_report.conditions:
            yield f"the conditions of {name}'s raylet"
    if workload_of(config) != VIDEO:
        return
    if clip is None:
        yield "the clip"
    yield from _of_checks(clip, requests)
    if config.load.warmup and load_report.cold_deployments is None:
        yield "which replicas were warm"
    graph = load_report.graph
    if graph is not None and config.cluster.name != ATTACHED and not graph.compute_alone_s:
        yield "the cost of a frame by itself"
    if graph is not None and config.load.warmup and not graph.compute_first_s:
        yield "the cost of a frame in the warm-up"
    if any(one.error is None and (one.received_s is None or one.finished_s is None) for one in requests):
        yield "when the service received each request"
    if graph is not None:
        yield from _of_counts(config, graph, requests)
    if any(not report.calls for one in requests for report in one.replicas):
        yield "the calls of a replica"
    # Records in which replicas do not report their resources are older than the observation of their work.
    unwatched = {
        report.deployment
        for one in requests
        for report in one.replicas
        if "resources" in report.settings and len(report.work) != len(report.calls)
    }
    yield from (f"the observed work of {name}" for name in STAGES_SEEN if name in unwatched)


def _of_counts(config: Config, graph: Graph, requests: Sequence[Request]) -> Iterator[str]:
    """Nothing for older records, in which HTTP requests were not counted. Proxies of an attached cluster
    count only if it was started with vbench's middleware, and none is asked with direct ingress."""
    if graph.proxy_served_before is None:
        return
    answered = [one for one in requests if one.error is None]
    if any(one.api_requests is None for one in answered):
        yield "the number of HTTP requests to the API"
    ingress = ingress_of(config.runtime.env)
    if ingress is Ingress.HAPROXY and graph.proxy_served_after is None:
        yield "the number of HTTP requests to HAProxy"
    is_counted = ingress is Ingress.PROXY and config.cluster.name != ATTACHED
    if is_counted and any(one.proxy_requests is None for one in answered):
        yield "the number of HTTP requests to Serve's proxy"


def _of_checks(clip: Clip | None, requests: Sequence[Request]) -> Iterator[str]:
    """Older records, in which the reference pass was not checked, have neither of these."""
    if clip is None:
        return
    counted = [one.detections_repeated is not None for one in requests if one.error is None]
    checked = {one.video for one in clip.checks}
    if (clip.checks or any(counted)) and not all(counted):
        yield "the number of repeated detections"
    if any(counted) and not checked >= {clip.fingerprint, *(one["fingerprint"] for one in clip.variants)}:
        yield "the checks of a reference pass"


def _of_watchers(config: Config, load_report: LoadReport, measured: Measurements) -> Iterator[str]:
    nodes, machines, network = measured.nodes, measured.machines, measured.network
    sampled = {sample.node for sample in nodes}
    for name in config.cluster.nodes:
        if name not in sampled:
            yield f"samples of {name}"
    if not machines:
        yield "samples of a machine"
    if load_report.graph is not None and load_report.graph.proxy_served_before is not None:
        if any(sample.bounds is None for sample in machines):
            yield "the limits of the CPUs"
        if any(not sample.cpu_by_role_s for sample in machines):
            yield "the CPU seconds by role"
    if config.cluster.name == EMULATED and network is None:
        yield "the network's links"
    elif network is not None and any(sample.link is None for sample in nodes):
        yield "the links' counters"
    bounded = is_bounded(config.load.max_speed_change_percent)
    if bounded and config.cluster.name == ATTACHED and not load_report.speeds:
        yield "the speed of the nodes' machines"
