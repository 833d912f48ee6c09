"""What a trial could at best have reached: the time that decoders, models, links and cores need.

Each limit is a time for all measured requests together, and is held against the time that they took (from the
first request's due time to the last answer). The largest names the bottleneck; limit / measured is the
efficiency. Rates are the trial's own: a decoder that had to share its cores was slow, and counts as it was.

With ``load=transfer``, one request at a time whose objects are made beforehand, only the time counts in which
they moved: the sum of the requests' latencies.
"""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vbench.analysis.arms import connections
from vbench.record.files import read_machines, read_spans
from vbench.record.transfers import by_way, crossings
from vbench.record.types import MachineSample, SpanLine, Trial
from vbench.validity.conditions import usable_cpus

Resource = Literal["decoders", "models", "flows", "NIC", "cores"]
RESOURCES: tuple[Resource, ...] = ("decoders", "models", "flows", "NIC", "cores")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The time that one resource needs for the work of a trial."""

    resource: Resource
    where: str
    """Which of its kind: ``chunk1 to gpu, 2 connections of 100 Mbit/s``."""
    needed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a trial could reach and what it did."""

    measured_s: float
    """From the first request's due time to the last answer; of a transfer while objects moved."""
    limits: tuple[Limit, ...]
    """The largest of each resource, the largest first."""

    @property
    def bottleneck(self) -> Limit:
        """The largest limit."""
        return self.limits[0]

    @property
    def efficiency(self) -> float:
        """The largest limit over the measured time: 1 where the bottleneck was never idle."""
        return self.bottleneck.needed_s / self.measured_s


def limits(trial: Trial, spans: Sequence[SpanLine], machines: Sequence[MachineSample]) -> Limits | None:
    """The limits of a trial that was measured to its end; None for another.

    ``spans`` and ``machines`` are the trial's lines, of the measured time alone.
    """
    observed = trial.observed
    measured_s = trial.metrics.get("makespan_s")
    if observed is None or not measured_s:
        return None
    found = [*_workers(trial, spans), *_wire(trial, spans), *_cores(trial, machines, _moving(trial, spans))]
    largest = [max(group, key=lambda each: each.needed_s) for group in _grouped(found)]
    if not largest:
        return None
    return Limits(
        measured_s=measured_s,
        limits=tuple(sorted(largest, key=lambda each: each.needed_s, reverse=True)),
    )


def of_record(trial: Trial, folder: Path) -> Limits | None:
    """The limits of a trial, from the lines of its record; RecordError where these cannot be read."""
    return limits(trial, read_spans(folder), read_machines(folder))


def _grouped(found: Sequence[Limit]) -> Iterator[list[Limit]]:
    for resource in RESOURCES:
        group = [each for each in found if each.resource == resource]
        if group:
            yield group


def _workers(trial: Trial, spans: Sequence[SpanLine]) -> Iterator[Limit]:
    """Seconds of FFmpeg over the places to run it in, and seconds of the model over its replicas.

    A replica of a decoder runs as many FFmpegs at a time as its CPUs allow, a replica of the model forward
    passes for several calls: time in which spans lie over each other counts once.
    """
    assert trial.observed is not None
    stages: tuple[tuple[Resource, str, str], ...] = (
        ("decoders", "decode", "VideoDecoder"),
        ("models", "infer", "ModelInference"),
    )
    for resource, stage, deployment in stages:
        replicas = sum(trial.observed.placement.get(deployment, {}).values())
        own = [s for s in spans if s.stage == stage and s.kind == "compute"]
        busy_s = sum(_covered_s([s for s in own if s.replica == name]) for name in {s.replica for s in own})
        if replicas and busy_s:
            where = f"{replicas} replica{'s' if replicas > 1 else ''}"
            yield Limit(resource=resource, where=where, needed_s=busy_s / replicas)


def _covered_s(spans: Sequence[SpanLine]) -> float:
    """Seconds in which at least one of the spans was under way."""
    covered_s, end_s = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.start_s):
        covered_s += max(0.0, span.end_s - max(end_s, span.start_s))
        end_s = max(end_s, span.end_s)
    return covered_s


def _wire(trial: Trial, spans: Sequence[SpanLine]) -> Iterator[Limit]:
    """Bytes that had to cross, each once, over the caps of connections (a pair of nodes) and NICs (a node,
    each way); nothing where no link is shaped."""
    if trial.network is None:
        return
    links = {link.node: link for link in trial.network.links}
    count = connections(trial)
    ways = by_way(crossings(spans))
    for (sender, receiver), nbytes in ways.items():
        flow_mbps = links[sender].flow_mbps
        yield Limit(
            resource="flows",
            where=(
                f"{sender} to {receiver}, {count} connection{'s' if count > 1 else ''} of"
                f" {flow_mbps:g} Mbit/s"
            ),
            needed_s=_seconds(nbytes, count * flow_mbps),
        )
    for node, link in links.items():
        sent = sum(nbytes for (sender, _), nbytes in ways.items() if sender == node)
        received = sum(nbytes for (_, receiver), nbytes in ways.items() if receiver == node)
        for nbytes, what in ((sent, "sends"), (received, "receives")):
            if nbytes:
                yield Limit(
                    resource="NIC",
                    where=f"{node} {what} at {link.nic_mbps:g} Mbit/s",
                    needed_s=_seconds(nbytes, link.nic_mbps),
                )


def _seconds(nbytes: int, rate_mbps: float) -> float:
    return nbytes * 8 / 1e6 / rate_mbps


Window = tuple[float, float]
"""Unix seconds, from and to."""


def _moving(trial: Trial, spans: Sequence[SpanLine]) -> list[Window] | None:
    """When the objects of a transfer moved; None for other loads, all of whose time counts."""
    if trial.config["load"]["name"] != "transfer":
        return None
    return [(s.start_s, s.end_s) for s in spans if (s.stage, s.kind) == ("infer", "transfer")]


def _cores(
    trial: Trial, machines: Sequence[MachineSample], windows: Sequence[Window] | None
) -> Iterator[Limit]:
    """CPU seconds that were used, interrupts included, over the cores of the machine.

    If the trial's affinity or a quota leaves it fewer cores, also the CPU seconds of the trial over those.
    """
    for name in dict.fromkeys(sample.machine for sample in machines):
        own = [sample for sample in machines if sample.machine == name]
        all_s = own[-1].cpu_all_s - own[0].cpu_all_s
        passed_s = own[-1].at_s - own[0].at_s
        if all_s <= 0 or passed_s <= 0:
            continue
        counted = [(own[0].unix_s, own[-1].unix_s)] if windows is None else windows
        cores = all_s / passed_s
        used_s = _within_s(own, [each.cpu_all_s - each.cpu_idle_s for each in own], counted)
        yield Limit(resource="cores", where=f"{round(cores)} of {name}", needed_s=used_s / cores)
        usable = usable_cpus(trial, name)
        if usable is not None and usable < round(cores):
            trial_s = _within_s(own, [each.cpu_trial_s for each in own], counted)
            where = f"{usable:g} usable of the {round(cores)} of {name}"
            yield Limit(resource="cores", where=where, needed_s=trial_s / usable)


def _within_s(samples: Sequence[MachineSample], used_s: Sequence[float], windows: Sequence[Window]) -> float:
    """What a counter of CPU seconds, one value per sample, grew by within the windows."""
    return sum(_at(samples, used_s, to_s) - _at(samples, used_s, from_s) for from_s, to_s in windows)


def _at(samples: Sequence[MachineSample], used_s: Sequence[float], unix_s: float) -> float:
    """The counter at a moment, from the samples around it in equal steps."""
    after = min(
        max(bisect.bisect_left(samples, unix_s, key=lambda sample: sample.unix_s), 1), len(samples) - 1
    )
    first, last = samples[after - 1], samples[after]
    passed_s = last.unix_s - first.unix_s
    share = min(max((unix_s - first.unix_s) / passed_s, 0.0), 1.0) if passed_s > 0 else 0.0
    return used_s[after - 1] + share * (used_s[after] - used_s[after - 1])
