"""Whether anything stalled while requests were measured: the client, a sampler, a node, the machine."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from vbench.config.schema import LoadConfig
from vbench.record.harness import Harness, Stall
from vbench.record.load_report import LoadReport
from vbench.record.measurements import Measurements
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.steady_window import makespan_s
from vbench.record.trial import Rule
from vbench.validity.catalog.machine import NOTHING_STALLED

MOST_TOGETHER = 2.0
"""All stalls of one process together may take this many times as long as a single one."""


def judge(
    load: LoadConfig,
    load_report: LoadReport,
    measured: Measurements,
    harness: Harness | None,
) -> Iterator[Rule]:
    """The rule "nothing stalled"; none for older records, in which stalls were not observed.

    A stall adds at most its length to each of the c requests in flight, so c * stall / n to the mean of n. In
    a closed loop, that mean is c * measured time / n, minus the empty slots at the end: a stall raises it by
    little more than its share of the measured time. So a long trial may stall for longer than
    ``max_stall_ms``.

    Many short stalls have the same effect as a long one, so their sum is bounded too, as far as the kernel
    distinguishes them from waiting for a CPU.
    """
    if harness is None or not load_report.stalls:
        return
    watched = [*load_report.stalls, *harness.stalls]
    unwatched = [stall.where for stall in watched if not stall.wakes]
    seen = [*watched, *_samples(load, measured.nodes, measured.machines)]
    worst = max(seen, key=lambda stall: stall.worst_ms)
    summed = max(watched, key=lambda stall: stall.stood_ms or 0.0)
    stopped = sorted({name for sample in measured.machines for name in sample.stopped})
    share_ms = 10 * load.max_stall_percent * makespan_s(measured.requests)
    bound_ms = max(load.max_stall_ms, share_ms)
    if unwatched:
        observed = f"not observed: {', '.join(unwatched)}"
    else:
        observed = f"longest stall {worst.worst_ms:.0f} ms ({worst.where}), limit {bound_ms:.0f} ms"
        others = sorted((one for one in seen if one is not worst), key=lambda one: -one.worst_ms)
        too_long = [f"{one.where} {one.worst_ms:.0f} ms" for one in others if one.worst_ms > bound_ms]
        if share_ms > load.max_stall_ms:
            observed += f" ({load.max_stall_percent:g}% of the measured time)"
        if worst.suspended_ms:
            observed += f"; the machine was suspended for {worst.suspended_ms:.0f} ms of it"
        if too_long:
            observed += f"; also too long: {', '.join(too_long)}"
    stood_ms = summed.stood_ms or 0.0
    most_ms = MOST_TOGETHER * bound_ms
    if stood_ms > most_ms:
        observed += f"; {summed.where} stalled for {stood_ms:.0f} ms in total, limit {most_ms:.0f} ms"
    if stopped:
        observed += f"; stopped by a signal or a debugger: {', '.join(stopped)}"
    yield NOTHING_STALLED.verdict(
        passed=not unwatched and not stopped and worst.worst_ms <= bound_ms and stood_ms <= most_ms,
        observed=observed,
    )


def _samples(
    load: LoadConfig, nodes: Sequence[NodeSample], machines: Sequence[MachineSample]
) -> Iterator[Stall]:
    """Per node and machine, the longest time between two samples beyond their period.

    A stalled raylet does not report its object store, so the sample waits for it. The first and the last
    sample of a machine are taken when the load process asks for them, so gaps are shorter there.
    """
    series: dict[str, list[float]] = {}
    for node in nodes:
        series.setdefault(f"samples of node {node.node}", []).append(node.at_s)
    for machine in machines:
        series.setdefault(f"samples of machine {machine.machine}", []).append(machine.at_s)
    for where, times in series.items():
        gap_s = max((after - before for before, after in pairwise(times)), default=0.0)
        yield Stall(
            where=where, worst_ms=max(0.0, 1000 * (gap_s - load.sample_period_s)), wakes=len(times), at_s=None
        )
