"""Finds a trial's bottleneck: how long replicas, links and cores were busy with its requests.

For each resource, this computes the least time that all measured requests together take of it, and compares
that with the time that they took (from the first request's due time to the last response). The busiest
resource is the bottleneck. Rates are the trial's own: a decoder that had to share its cores was slow, and
counts as it was.

With ``load=transfer``, which sends one request at a time and makes its objects beforehand, only the time in
which objects moved counts: the sum of the requests' latencies.
"""

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path

from vbench.analysis.arms import connections
from vbench.config.workload import APP, TRANSFERS, workload_of_plain
from vbench.record.bottleneck import RESOURCES, Bottleneck, Resource, ResourceTime
from vbench.record.calls import Call
from vbench.record.deployment_times import deployment_times
from vbench.record.intervals import covered_s
from vbench.record.link_caps import LinkCaps
from vbench.record.measurements import Measurements, read_measurements
from vbench.record.network import Link, Network
from vbench.record.nic_bytes import nic_bytes, objects_moved
from vbench.record.requests import SpanLine
from vbench.record.samples import MachineSample
from vbench.record.transfers import bytes_by_route
from vbench.record.trial import Trial
from vbench.validity.conditions import usable_cpus

STORED_SINCE = 3
"""Schema version from which on records hold their bottleneck."""


def of_record(trial: Trial, folder: Path) -> Bottleneck | None:
    """The bottleneck of a trial as its record has it; for an earlier record, computed from its lines.

    None for a trial that was not measured to its end. RecordError if lines that are needed cannot be read.
    """
    if trial.schema_version >= STORED_SINCE:
        return trial.bottleneck
    return find_bottleneck(trial, read_measurements(folder, trial.network))


def find_bottleneck(trial: Trial, measured: Measurements) -> Bottleneck | None:
    """Compute the bottleneck of a trial from its lines; None if it was not measured to its end."""
    measured_s = trial.metrics.get("makespan_s")
    if trial.load_report is None or not measured_s:
        return None
    times = [
        *_workers(trial, measured.spans),
        *_replicas(trial, measured.calls),
        *_links(trial, measured),
        *_cores(trial, measured.machines, _moving(trial, measured.spans)),
    ]
    busiest = [max(group, key=lambda one: one.busy_s) for group in _by_resource(times)]
    if not busiest:
        return None
    return Bottleneck(
        measured_s=measured_s,
        resources=tuple(sorted(busiest, key=lambda one: one.busy_s, reverse=True)),
    )


def _by_resource(times: Sequence[ResourceTime]) -> Iterator[list[ResourceTime]]:
    for resource in RESOURCES:
        group = [one for one in times if one.resource == resource]
        if group:
            yield group


def _workers(trial: Trial, spans: Sequence[SpanLine]) -> Iterator[ResourceTime]:
    """Seconds of FFmpeg and of the model, each over its replicas.

    A replica of the model runs forward passes for several calls at once: overlapping spans count once.
    """
    assert trial.load_report is not None
    stages: tuple[tuple[Resource, str, str], ...] = (
        ("decoders", "decode", "VideoDecoder"),
        ("models", "infer", "ModelInference"),
    )
    for resource, stage, deployment in stages:
        replicas = sum(trial.load_report.placement.get(deployment, {}).values())
        own = [s for s in spans if s.stage == stage and s.kind == "compute"]
        busy_s = sum(covered_s(s for s in own if s.replica == name) for name in {s.replica for s in own})
        if replicas and busy_s:
            where = f"{replicas} replica{'s' if replicas > 1 else ''}"
            yield ResourceTime(resource=resource, where=where, busy_s=busy_s / replicas)


def _replicas(trial: Trial, calls: Sequence[Call]) -> Iterator[ResourceTime]:
    """Time in which an application's replicas have work of their own, mean over a deployment's replicas."""
    assert trial.load_report is not None
    for one in deployment_times(calls, trial.load_report.placement):
        where = f"{one.deployment}'s {f'{one.replicas} replicas' if one.replicas > 1 else 'replica'}"
        yield ResourceTime(resource="replicas", where=where, busy_s=one.busy_s)


def _links(trial: Trial, measured: Measurements) -> Iterator[ResourceTime]:
    """Bytes that had to cross, each once, over the caps of connections (per pair of nodes) and NICs (per node
    and direction); nothing if no link is shaped.

    What had to cross in an application is not known: of it, what the object managers sent counts on
    connections, and what the NICs moved on NICs.
    """
    if trial.network is None:
        return
    links = _mean_links(trial.network, measured)
    mean = {event.node: " on average" for event in trial.network.events}
    count = connections(trial)
    is_app = workload_of_plain(trial.config) == APP
    routes = objects_moved(measured.nodes) if is_app else bytes_by_route(measured.transfers)
    for (sender, receiver), nbytes in routes.items():
        if sender not in links or not nbytes:
            continue
        flow_mbps = links[sender].flow_mbps
        yield ResourceTime(
            resource="flows",
            where=(
                f"{sender} to {receiver}, {count} connection{'s' if count > 1 else ''} of"
                f" {_mbps_text(flow_mbps)}{mean.get(sender, '')}"
            ),
            busy_s=_seconds(nbytes, count * flow_mbps),
        )
    moved = nic_bytes(measured.nodes) if is_app else {}
    for node, link in links.items():
        sent = sum(nbytes for (sender, _), nbytes in routes.items() if sender == node)
        received = sum(nbytes for (_, receiver), nbytes in routes.items() if receiver == node)
        if node in moved:
            sent, received = moved[node].sent, moved[node].received
        for nbytes, what in ((sent, "sends"), (received, "receives")):
            if nbytes:
                yield ResourceTime(
                    resource="NIC",
                    where=f"{node} {what} at {_mbps_text(link.nic_mbps)}{mean.get(node, '')}",
                    busy_s=_seconds(nbytes, link.nic_mbps),
                )


def _mbps_text(rate_mbps: float) -> str:
    return f"{rate_mbps:g} Mbit/s"


def _mean_links(network: Network, measured: Measurements) -> dict[str, Link]:
    """Each node's link, with the mean rates of the measured time if events changed them."""
    times = [sample.at_s for sample in measured.nodes]
    if not network.events or not times:
        return {link.node: link for link in network.links}
    caps = LinkCaps.of(network)
    return {link.node: caps.mean(link.node, min(times), max(times)) for link in network.links}


def _seconds(nbytes: int, rate_mbps: float) -> float:
    return nbytes * 8 / 1e6 / rate_mbps


Interval = tuple[float, float]
"""Unix seconds, from and to."""


def _moving(trial: Trial, spans: Sequence[SpanLine]) -> list[Interval] | None:
    """When the objects of a transfer moved; None for other loads, for which all time counts."""
    if workload_of_plain(trial.config) != TRANSFERS:
        return None
    return [(s.start_s, s.end_s) for s in spans if (s.stage, s.kind) == ("infer", "transfer")]


def _cores(
    trial: Trial, machines: Sequence[MachineSample], intervals: Sequence[Interval] | None
) -> Iterator[ResourceTime]:
    """CPU seconds used, including interrupts, over the cores of the machine.

    If the trial's affinity or a quota allows it fewer cores, also the CPU seconds of the trial over those.
    """
    for name in dict.fromkeys(sample.machine for sample in machines):
        own = [sample for sample in machines if sample.machine == name]
        all_s = own[-1].cpu_all_s - own[0].cpu_all_s
        passed_s = own[-1].at_s - own[0].at_s
        if all_s <= 0 or passed_s <= 0:
            continue
        counted = [(own[0].unix_s, own[-1].unix_s)] if intervals is None else intervals
        cores = all_s / passed_s
        used_s = _within_s(own, [sample.cpu_all_s - sample.cpu_idle_s for sample in own], counted)
        yield ResourceTime(resource="cores", where=f"{round(cores)} of {name}", busy_s=used_s / cores)
        usable = usable_cpus(trial, name)
        if usable is not None and usable < round(cores):
            trial_s = _within_s(own, [sample.cpu_trial_s for sample in own], counted)
            where = f"{usable:g} usable of the {round(cores)} of {name}"
            yield ResourceTime(resource="cores", where=where, busy_s=trial_s / usable)


def _within_s(
    samples: Sequence[MachineSample], used_s: Sequence[float], intervals: Sequence[Interval]
) -> float:
    """By how much a counter of CPU seconds, one value per sample, grew within the intervals."""
    return sum(_at(samples, used_s, to_s) - _at(samples, used_s, from_s) for from_s, to_s in intervals)


def _at(samples: Sequence[MachineSample], used_s: Sequence[float], unix_s: float) -> float:
    """The counter at a moment, interpolated between the samples around it."""
    after = min(
        max(bisect.bisect_left(samples, unix_s, key=lambda sample: sample.unix_s), 1), len(samples) - 1
    )
    first, last = samples[after - 1], samples[after]
    passed_s = last.unix_s - first.unix_s
    share = min(max((unix_s - first.unix_s) / passed_s, 0.0), 1.0) if passed_s > 0 else 0.0
    return used_s[after - 1] + share * (used_s[after] - used_s[after - 1])
