"""The rules of validity: what must hold before a trial's numbers mean anything."""

from collections.abc import Iterator, Sequence

from vbench.record import NodeSample, Observed, Request, Rule
from vbench.schema import LoadConfig


def judge(
    load: LoadConfig, observed: Observed | None, requests: Sequence[Request], samples: Sequence[NodeSample]
) -> list[Rule]:
    """All rules, judged over the measured requests and the samples taken while they ran."""
    if observed is None:
        return [
            Rule(
                name="finished",
                holds=False,
                found="the trial did not come to its end",
                remedy="see the error and load.log in the record's folder",
            )
        ]
    during = [s for s in samples if observed.measured_from_s <= s.at_s <= observed.measured_to_s]
    return [
        *_answers(load, requests),
        _runtime(observed),
        _on_time(load, requests),
        *_resources(load, observed, samples, during),
    ]


def _answers(load: LoadConfig, requests: Sequence[Request]) -> Iterator[Rule]:
    failed = [r for r in requests if r.error is not None]
    answered = len(requests) - len(failed)
    first = f"; the first that failed: {failed[0].error}" if failed else ""
    yield Rule(
        name="every request was answered",
        holds=not failed and len(requests) == load.requests,
        found=f"{answered} of {load.requests} answered{first}",
        remedy="mend what the error names; load.log in the record's folder has more",
    )
    wrong = [r for r in requests if r.error is None and r.frames_wrong]
    first = f"; the first: {wrong[0].mismatch}" if wrong else ""
    yield Rule(
        name="frames are identical to the reference pass",
        holds=not wrong and answered > 0,
        found=(
            f"{sum(r.frames_got for r in requests)} frames, {sum(r.frames_wrong for r in wrong)} wrong{first}"
        ),
        remedy="a decoder or a transfer is at fault: do not use the numbers; report the clip",
    )
    wrong = [r for r in requests if r.error is None and r.detections_wrong]
    first = f"; the first: {wrong[0].mismatch}" if wrong else ""
    yield Rule(
        name="detections agree with the reference pass",
        holds=not wrong and answered > 0,
        found=(
            f"{sum(r.detections for r in requests)} detections,"
            f" {sum(r.detections_wrong for r in wrong)} wrong{first}"
        ),
        remedy="compare model.precision, model.device and versions; do not use the numbers",
    )


def _runtime(observed: Observed) -> Rule:
    asked = dict(observed.runtime_asked)
    differ = [node for node in observed.runtime_found if dict(node.flags) != asked]
    wanted = ", ".join(f"{name}={value}" for name, value in asked.items()) or "no flag set"
    if not observed.runtime_found:
        found = "no raylet was found"
    elif differ:
        found = f"asked: {wanted}; {differ[0].node} has {dict(differ[0].flags)}"
    else:
        found = f"{wanted}: so in the environment of all raylets ({len(observed.runtime_found)})"
        if len(observed.runtime_found) == 1:
            found += "; one node has no peers, so no connections to count"
    return Rule(
        name="the runtime flags are in force",
        holds=bool(observed.runtime_found) and not differ,
        found=found,
        remedy="start the cluster with the flags in every node's environment",
    )


def _on_time(load: LoadConfig, requests: Sequence[Request]) -> Rule:
    late_ms = max((r.late_s * 1000 for r in requests), default=0.0)
    return Rule(
        name="the client was on time",
        holds=late_ms <= load.max_late_ms,
        found=f"at most {late_ms:.1f} ms late, bound {load.max_late_ms:g} ms",
        remedy="lower load.concurrency or give the machine more cores; load.max_late_ms is the bound",
    )


def _resources(
    load: LoadConfig, observed: Observed, samples: Sequence[NodeSample], during: Sequence[NodeSample]
) -> Iterator[Rule]:
    spilled_mb = max((s.spilled_mb for s in samples), default=0.0)
    yield Rule(
        name="nothing was spilled to disk",
        holds=bool(samples) and spilled_mb == 0,
        found=f"{spilled_mb:.0f} MB spilled" if samples else "no sample was taken",
        remedy="raise cluster.nodes.*.object_store_mb, or lower load.concurrency or pipeline.window",
    )
    yield Rule(
        name="no process was killed for want of memory",
        holds=observed.oom_kills == 0,
        found=f"{observed.oom_kills} killed",
        remedy="lower load.concurrency, pipeline.window or the object store, or give the machine more memory",
    )
    seen = [s for s in during if s.foreign_cpu_percent >= 0]
    foreign = sum(s.foreign_cpu_percent for s in seen) / len(seen) if seen else 0.0
    worst = max(seen, key=lambda s: s.foreign_cpu_percent, default=None)
    busy = f", most of it {worst.foreign_process}" if worst and worst.foreign_process and foreign > 1 else ""
    yield Rule(
        name="nothing else used the CPU",
        holds=bool(seen) and foreign <= load.max_foreign_cpu_percent,
        found=(
            f"other programs used {foreign:.1f}% of the machine,"
            f" bound {load.max_foreign_cpu_percent:g}%{busy}"
            if seen
            else "no sample was taken while requests ran"
        ),
        remedy="stop other programs and run again; with short trials lower load.sample_period_s",
    )
