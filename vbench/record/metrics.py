"""The metrics of a trial, one small function each; units are in their names, formulas in their docstrings."""

import statistics
from collections.abc import Mapping, Sequence

from vbench.config.workload import APP, Workload, workload_of_plain
from vbench.pipeline.spans import KINDS, STAGES
from vbench.record import link_fidelity
from vbench.record.clip import Clip
from vbench.record.cpu_by_role import used_by_role
from vbench.record.cpu_use import by_machine, cpu_use
from vbench.record.deployment_times import deployment_times, of_deployments
from vbench.record.measurements import Measurements
from vbench.record.nic_bytes import objects_moved
from vbench.record.open_load_metrics import OpenLoad, open_load, open_load_of
from vbench.record.quantiles import quantile_metrics
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.steady_window import halves, makespan_s, steady
from vbench.record.trial import Trial


def summarize(
    clip: Clip | None,
    measured: Measurements,
    post_run_bytes: Mapping[str, int] | None = None,
    workload: Workload | None = None,
    placement: Mapping[str, Mapping[str, int]] | None = None,
    arrivals: OpenLoad | None = None,
) -> dict[str, float]:
    """All metrics of a trial if all of its requests were answered; otherwise only their number.

    A mean over the successes alone would flatter a failing arm, so a trial with failures has none. Nor has
    one under an open load that the service did not keep up with: its latencies depend on when it was ended.
    Both have the goodput of an open load. ``clip`` is None for a load that has no video; ``post_run_bytes``
    is what nodes sent after the last response; ``workload`` None is that of the clip: videos with one, else
    transfers; ``placement`` is deployment -> node -> replicas, of an application; ``arrivals`` None: a closed
    loop.
    """
    requests, spans, nodes, machines = measured.requests, measured.spans, measured.nodes, measured.machines
    metrics: dict[str, float] = {"requests": len(requests)}
    if requests and arrivals is not None:
        metrics |= open_load(requests, arrivals.objective)
    if not requests or any(r.error is not None for r in requests) or not metrics.get("keeps_up", 1):
        return metrics
    metrics |= latencies([r.latency_s for r in requests])
    metrics |= halves(requests)
    if arrivals is None:
        metrics |= steady(requests)
    if workload == APP:
        metrics |= responses(requests)
        times = deployment_times(measured.calls, placement or {})
        metrics |= of_deployments(times, len(requests), makespan_s(requests))
        metrics |= objects_between_nodes(nodes, len(requests))
    else:
        metrics |= transfer_rate(requests) if clip is None else throughput(requests)
        metrics |= stage_times(spans, len(requests))
        metrics |= bytes_moved(requests, spans)
    metrics |= machine_use(machines)
    metrics |= cpu_of_roles(machines)
    metrics |= gpu_use(machines, len(requests))
    metrics |= node_use(nodes)
    metrics |= wire_use(measured, sum((post_run_bytes or {}).values()))
    if measured.link_fidelity is not None:
        metrics |= link_fidelity.metrics(measured.link_fidelity)
    metrics["client_late_max_ms"] = 1000 * max(r.late_s for r in requests)
    if clip is not None and clip.reference_map50 is not None:
        metrics["reference_map50"] = clip.reference_map50
    return metrics


def metrics_of(trial: Trial, measured: Measurements) -> dict[str, float]:
    """The metrics of a trial from the lines of its record."""
    report = trial.load_report
    return summarize(
        trial.clip,
        measured,
        report.post_run_bytes if report else None,
        workload_of_plain(trial.config),
        report.placement if report else None,
        open_load_of(trial.config),
    )


def latencies(values_s: Sequence[float]) -> dict[str, float]:
    """Seconds from a request's due time to its response: mean, the quantiles that this number of requests
    supports with their intervals, extremes, standard deviation."""
    return {
        "latency_mean_s": statistics.fmean(values_s),
        **quantile_metrics("latency", values_s),
        "latency_max_s": max(values_s),
        "latency_min_s": min(values_s),
        "latency_stdev_s": statistics.stdev(values_s) if len(values_s) > 1 else 0.0,
    }


def throughput(requests: Sequence[Request]) -> dict[str, float]:
    """Work per second over the time from the first request's due time to the last response."""
    measured_s = makespan_s(requests)
    return {
        "makespan_s": measured_s,
        "throughput_requests_per_s": len(requests) / measured_s,
        "throughput_video_s_per_s": sum(r.video_s for r in requests) / measured_s,
        "throughput_frames_per_s": sum(r.frames_got for r in requests) / measured_s,
    }


def responses(requests: Sequence[Request]) -> dict[str, float]:
    """Of an application: requests per second over the time from the first request's due time to the last
    response; MB of the bodies, per request; seconds from a request's sending to the first bytes of its
    response's body, if all have one, mean and the quantiles that this number of requests supports."""
    measured_s = makespan_s(requests)
    metrics = {
        "makespan_s": measured_s,
        "throughput_requests_per_s": len(requests) / measured_s,
        "request_mb": sum(r.request_bytes for r in requests) / len(requests) / 1e6,
        "response_mb": sum(r.answer_bytes for r in requests) / len(requests) / 1e6,
    }
    waits_s = [r.first_byte_s - r.sent_s for r in requests if r.first_byte_s is not None]
    if len(waits_s) == len(requests):
        metrics["first_byte_mean_s"] = statistics.fmean(waits_s)
        metrics |= quantile_metrics("first_byte", waits_s)
        metrics["first_byte_max_s"] = max(waits_s)
    return metrics


def transfer_rate(requests: Sequence[Request]) -> dict[str, float]:
    """Mbit/s of the objects' own bytes over the time of the requests, one after the other, without the time
    in which objects are made."""
    moving_s = sum(r.latency_s for r in requests)
    return {
        "makespan_s": moving_s,
        "transfer_mbps": 8e-6 * sum(r.frame_bytes for r in requests) / moving_s,
    }


def stage_times(spans: Sequence[SpanLine], requests: int) -> dict[str, float]:
    """Seconds of each stage and kind, summed over a request's chunks, mean over requests.

    Chunks are processed concurrently, so these sums can exceed the latency.
    """
    totals = {(stage, kind): 0.0 for stage in STAGES for kind in KINDS}
    for span in spans:
        totals[span.stage, span.kind] += span.end_s - span.start_s
    return {
        f"{stage}_{kind}_s": total / requests
        for (stage, kind), total in totals.items()
        if (stage, kind) != ("chunk", "transfer") or total
    }


def bytes_moved(requests: Sequence[Request], spans: Sequence[SpanLine]) -> dict[str, float]:
    """MB of frames per request that the model needed, and how often they were transferred on their way."""
    needed = sum(r.frame_bytes for r in requests)
    handed = sum(s.bytes for s in spans if s.stage == "infer" and s.kind == "transfer")
    return {
        "frames_mb_per_request": needed / len(requests) / 1e6,
        "frames_handed_over_times": handed / needed if needed else 0.0,
    }


def cpu_of_roles(machines: Sequence[MachineSample]) -> dict[str, float]:
    """CPU seconds of the trial's processes over the measured time, by role: ``cpu_load_process_s``,
    ``cpu_VideoDecoder_s`` and so on; none for records that do not have them by role."""
    used_s, _ = used_by_role(machines)
    return {f"cpu_{role.replace(chr(39), '').replace(' ', '_')}_s": used for role, used in used_s.items()}


def machine_use(machines: Sequence[MachineSample]) -> dict[str, float]:
    """CPU shares over the measured time, the most memory in use and the least available; nothing without
    samples."""
    use = cpu_use(machines)
    if use is None:
        return {}
    return {
        "cpu_busy_percent": use.busy,
        "cpu_trial_percent": use.trial,
        "cpu_foreign_percent": use.foreign,
        "cpu_stolen_percent": use.stolen,
        "memory_used_max_mb": max(s.memory_used_mb for s in machines),
        "memory_available_min_mb": min(s.memory_available_mb for s in machines),
    }


def gpu_use(machines: Sequence[MachineSample], requests: int) -> dict[str, float]:
    """For all GPUs of all machines, including idle ones: mean share of the time in which one computes, most
    memory in use on one, lowest clock of one that was busy in most of a sample, energy per request. Only what
    all of them report; nothing without a GPU."""
    samples = [gpu for sample in machines for gpu in sample.gpus]
    metrics: dict[str, float] = {}
    busy = [gpu.busy_percent for gpu in samples if gpu.busy_percent is not None]
    if busy:
        metrics["gpu_busy_percent"] = statistics.fmean(busy)
    memory = [gpu.memory_used_mb for gpu in samples if gpu.memory_used_mb is not None]
    if memory:
        metrics["gpu_memory_used_max_mb"] = max(memory)
    clocks = [gpu.sm_mhz for gpu in samples if gpu.sm_mhz is not None and (gpu.busy_percent or 0) > 50]
    if clocks:
        metrics["gpu_sm_busy_min_mhz"] = min(clocks)
    used = [_used_j(own) for own in by_machine(machines).values()]
    known = [joules for joules in used if joules is not None]
    if samples and len(known) == len(used):
        metrics["gpu_energy_j_per_request"] = sum(known) / requests
    return metrics


def _used_j(own: Sequence[MachineSample]) -> float | None:
    """Joules of one machine's GPUs over its samples; None if one does not report them."""
    energy_j = [
        (first.energy_j, last.energy_j) for first, last in zip(own[0].gpus, own[-1].gpus, strict=False)
    ]
    spent = [last - first for first, last in energy_j if first is not None and last is not None]
    return sum(spent) if len(spent) == len(own[0].gpus) else None


def node_use(nodes: Sequence[NodeSample]) -> dict[str, float]:
    """Peaks over all nodes and samples: MB in the fullest object store, MB spilled by one node.

    Of each node ``node_cpu_s.NODE``, the CPU seconds that the trial's processes used on it between its first
    and last sample, and ``node_memory_max_mb.NODE``, the most memory that they had.
    """
    if not nodes:
        return {}
    metrics = {
        "object_store_used_max_mb": max(s.object_store_used_mb for s in nodes),
        "spilled_max_mb": max(s.spilled_mb for s in nodes),
    }
    for name in dict.fromkeys(s.node for s in nodes):
        samples = [s for s in nodes if s.node == name]
        metrics[f"node_cpu_s.{name}"] = samples[-1].cpu_s - samples[0].cpu_s
        metrics[f"node_memory_max_mb.{name}"] = max(s.memory_mb for s in samples)
    return metrics


def objects_between_nodes(nodes: Sequence[NodeSample], requests: int) -> dict[str, float]:
    """MB per request that the object managers sent to each other, in total and of each node what it sent and
    received; nothing for one node, and for samples without."""
    moved = objects_moved(nodes)
    if not moved:
        return {}
    each_mb = 1e6 * requests
    metrics = {"objects_mb_per_request": sum(moved.values()) / each_mb}
    for name in dict.fromkeys(sample.node for sample in nodes):
        sent = sum(nbytes for (sender, _), nbytes in moved.items() if sender == name)
        received = sum(nbytes for (_, receiver), nbytes in moved.items() if receiver == name)
        metrics[f"objects_sent_mb_per_request.{name}"] = sent / each_mb
        metrics[f"objects_received_mb_per_request.{name}"] = received / each_mb
    return metrics


def wire_use(measured: Measurements, late_bytes: int) -> dict[str, float]:
    """Traffic between nodes; nothing for one node.

    ``transfer_mb_per_request``: array bytes that had to move between nodes, packets of chunks and frames.
    ``wire_mb_per_request``: what all NICs sent while requests were measured, including headers (see
    vbench.linux.nics) and Ray's background traffic; ``wire_mb_per_request.NODE`` for one,
    ``wire_received_mb_per_request.NODE`` what it received.
    ``payload_crossings``: sent bytes over bytes of frames that the model needed; ``payload_crossings.NODE``:
    of one link, the busier direction.
    A video that a service fetches from elsewhere counts as received by its node.
    ``sent_over_needed``: sent bytes, including those after the last response (``late_bytes``), over those
    that had to move. About 1% above 1 is headers and background traffic; more means that Ray repeats pulls
    that take more than 10 s (``object_manager_pull_timeout_ms``).
    """
    edges: dict[str, tuple[NodeSample, NodeSample]] = {}
    for sample in measured.nodes:
        first, _ = edges.get(sample.node, (sample, sample))
        edges[sample.node] = (first, sample)
    if len(edges) < 2:
        return {}
    sent = {node: last.nic_sent_bytes - first.nic_sent_bytes for node, (first, last) in edges.items()}
    received = {
        node: last.nic_received_bytes - first.nic_received_bytes for node, (first, last) in edges.items()
    }
    frames = sum(r.frame_bytes for r in measured.requests)
    needed = measured.transferred_bytes
    each_mb = 1e6 * len(measured.requests)
    metrics = {"wire_mb_per_request": sum(sent.values()) / each_mb}
    if measured.spans:  # otherwise it is not known what had to move
        metrics["transfer_mb_per_request"] = needed / each_mb
    if frames:
        metrics["payload_crossings"] = sum(sent.values()) / frames
    if needed:
        metrics["sent_over_needed"] = (sum(sent.values()) + late_bytes) / needed
    for node in edges:
        metrics[f"wire_mb_per_request.{node}"] = sent[node] / each_mb
        metrics[f"wire_received_mb_per_request.{node}"] = received[node] / each_mb
        if frames:
            metrics[f"payload_crossings.{node}"] = max(sent[node], received[node]) / frames
    return metrics
