"""The rules of validity: what must hold before a trial's numbers mean anything."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vbench.clusters.emulated.validate import EMULATED
from vbench.config.schema import Config, LoadConfig
from vbench.config.transfer import TRANSFER
from vbench.errors import first_line
from vbench.ray_internals.object_manager import CHUNK_BYTES
from vbench.record import clock_skew
from vbench.record.cpu_use import by_machine, cpu_use
from vbench.record.measurements import Measurements
from vbench.record.types import (
    Clip,
    Connections,
    Harness,
    MachineSample,
    NodeSample,
    Observed,
    Request,
    Rule,
)
from vbench.validity import (
    completeness,
    conditions,
    foreign_gpu,
    known_answers,
    links_configured,
    links_during,
    links_set_the_pace,
    own_cpu,
    speed,
    stalls,
    trial_checks,
    truth,
)


def judge(
    config: Config,
    observed: Observed | None,
    measured: Measurements,
    clip: Clip | None = None,
    harness: Harness | None = None,
) -> list[Rule]:
    """Judge all rules over the measured requests and the samples taken while they ran.

    ``observed``: what the load process reported, None if it did not come to its end; ``clip``: the video,
    None for a load without one; ``harness``: what the harness saw itself, None for earlier records.
    """
    if observed is None:
        return [
            Rule(
                name="finished",
                holds=False,
                found="the trial did not come to its end",
                remedy="see the error and load.log in the record's folder",
            )
        ]
    requests, machines, network = measured.requests, measured.machines, measured.network
    judges: list[Callable[[], Iterable[Rule]]] = [
        lambda: _answers(config.load, requests, observed),
        lambda: [_runtime(config, observed), *_warm(observed), _on_time(config.load, requests)],
        lambda: _resources(config.load, observed, measured.nodes, machines),
        lambda: completeness.judge(config, observed, measured, clip, harness),
        lambda: truth.judge(config, clip, requests),
        lambda: known_answers.judge(config, clip, requests),
        lambda: trial_checks.judge(config, observed, measured, clip),
        lambda: stalls.judge(config.load, observed, measured, harness),
        lambda: conditions.judge(config, observed, harness, machines),
        lambda: speed.judge(config.load, harness, observed),
        lambda: foreign_gpu.judge(config, machines),
        lambda: own_cpu.judge(config, measured),
    ]
    if network is not None and config.cluster.name == EMULATED:
        judges.append(lambda: links_configured.judge(config, observed, network, measured.nodes))
    if network is not None:
        judges += [
            lambda: links_set_the_pace.judge(config.load, network, measured),
            lambda: links_during.judge(observed, network, measured),
        ]
    return [rule for judge_some in judges for rule in _judged(judge_some)]


def _judged(judge_some: Callable[[], Iterable[Rule]]) -> list[Rule]:
    """Some rules; in their place a broken one, if the record's facts cannot be judged."""
    try:
        return list(judge_some())
    except Exception as error:  # noqa: BLE001 - whatever a damaged record makes of them
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [
            Rule(
                name="the record can be judged",
                holds=False,
                found=f"{type(error).__name__} in {Path(where.filename).name}: {first_line(error)}",
                remedy="the record is damaged, or a rule is wrong: do not use the numbers; report it",
            )
        ]


def _answers(load: LoadConfig, requests: Sequence[Request], observed: Observed) -> Iterator[Rule]:
    failed = [r for r in requests if r.error is not None]
    answered = len(requests) - len(failed)
    first = f"; the first that failed: {failed[0].error}" if failed else ""
    if observed.not_sent:
        first += f"; {observed.not_sent} were not sent any more"
    yield Rule(
        name="every request was answered",
        holds=not failed and len(requests) == load.requests,
        found=f"{answered} of {load.requests} answered{first}",
        remedy="mend what the error names; load.log in the record's folder has more",
    )
    wrong = [r for r in requests if r.error is None and r.frames_wrong]
    first = f"; the first: {wrong[0].mismatch}" if wrong else ""
    moved = load.name == TRANSFER
    what = "objects" if moved else "frames"
    yield Rule(
        name="objects arrived whole" if moved else "frames are identical to the reference pass",
        holds=not wrong and answered > 0,
        found=(
            f"{sum(r.frames_got for r in requests)} {what}, {sum(r.frames_wrong for r in wrong)} wrong{first}"
        ),
        remedy=(
            "Ray or the network is at fault: do not use the numbers; report it"
            if moved
            else "a decoder or a transfer is at fault: do not use the numbers; report the clip"
        ),
    )
    if moved:
        return
    wrong = [r for r in requests if r.error is None and r.detections_wrong]
    first = f"; the first: {wrong[0].mismatch}" if wrong else ""
    count = sum(r.detections for r in requests)
    if answered and not count and not wrong:
        first = ": the model finds nothing in this video, which proves little about the model"
    yield Rule(
        name="detections agree with the reference pass",
        holds=not wrong and answered > 0,
        found=f"{count} detections, {sum(r.detections_wrong for r in wrong)} wrong{first}",
        remedy="compare model.precision, model.device and versions; do not use the numbers",
    )


def _runtime(config: Config, observed: Observed) -> Rule:
    asked = dict(observed.runtime_asked)
    nodes = list(config.cluster.nodes)
    raylets = observed.runtime_found
    unread = [node for node in raylets if node.flags is None]
    differ = [node for node in raylets if node.flags is not None and dict(node.flags) != asked]
    wrong = [pair for pair in observed.connections if pair.found != pair.expected]
    wanted = ", ".join(f"{name}={value}" for name, value in asked.items()) or "no flag set"
    remedy = "start the cluster with the flags in every node's environment"
    holds = False
    if sorted(node.node for node in raylets) != sorted(nodes):
        found = f"{len(raylets)} raylets were found for {len(nodes)} nodes"
    elif unread:
        found = f"the environment of {unread[0].node}'s raylet could not be read"
    elif differ:
        found = f"asked: {wanted}; {differ[0].node} has {dict(differ[0].flags or {})}"
    elif wrong:
        found, remedy = _not_connected(wrong[0], moved=config.load.name == TRANSFER)
    elif len(nodes) > 1 and not observed.connections:
        found = "no frames moved between nodes, so there were no connections to count"
        remedy = "place decoder and model on nodes of their own (cluster.deployments.*.resources)"
    else:
        holds = True
        found = f"{wanted}: so in the environment of all raylets ({len(nodes)}); "
        found += _connected(observed.connections, len(nodes))
    return Rule(name="the runtime flags are in force", holds=holds, found=found, remedy=remedy)


def _connected(pairs: Sequence[Connections], nodes: int) -> str:
    if nodes == 1:
        return "one node has no peers, so no connections to count"
    return ", ".join(f"{pair.found} connections {pair.sender} to {pair.receiver}" for pair in pairs)


def _not_connected(pair: Connections, *, moved: bool) -> tuple[str, str]:
    """What was found, and the remedy; ``moved``: objects alone, and no video."""
    found = f"{pair.found} connections from {pair.sender} to {pair.receiver}, asked for {pair.expected}"
    least_bytes = 2 * pair.expected * CHUNK_BYTES
    if pair.found < pair.expected and pair.moved_bytes < least_bytes:
        return (
            f"{found}; {pair.moved_bytes / 1e6:.1f} MB went this way, too few to open all:"
            f" that takes up to two pieces of 5 MiB each, {least_bytes / 1e6:.1f} MB",
            f"raise load.warmup, or take {'more objects' if moved else 'a longer video or larger pictures'}",
        )
    return found, "the setting is not in force: do not use the numbers; see ray.log in the record's folder"


def _warm(observed: Observed) -> Iterator[Rule]:
    if observed.cold is None:
        return
    yield Rule(
        name="every replica was warm",
        holds=not observed.cold,
        found=(
            f"a replica of {', '.join(observed.cold)} saw no warm-up request"
            if observed.cold
            else "the warm-up gave work to all replicas"
        ),
        remedy="raise load.warmup, or load.warmup=0 to measure cold replicas too",
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
    load: LoadConfig,
    observed: Observed,
    nodes: Sequence[NodeSample],
    machines: Sequence[MachineSample],
) -> Iterator[Rule]:
    spilled_mb = max((s.spilled_mb + s.fallback_mb for s in nodes), default=0.0)
    yield Rule(
        name="nothing was spilled to disk",
        holds=bool(nodes) and spilled_mb == 0,
        found=f"{spilled_mb:.0f} MB spilled" if nodes else "no sample was taken",
        remedy="raise cluster.nodes.*.object_store_mb, or lower load.concurrency or pipeline.window",
    )
    kills = observed.oom_kills
    yield Rule(
        name="no process was killed for want of memory",
        holds=kills == 0,
        found="the kernel does not count them" if kills is None else f"{kills} killed",
        remedy="lower load.concurrency, pipeline.window or the object store, or give the machine more memory",
    )
    yield _alone(load, machines)
    if observed.clocks_off_s:
        apart_s = clock_skew.apart_s(observed.clocks_off_s)
        yield Rule(
            name="the nodes' clocks agree",
            holds=apart_s <= clock_skew.MOST_APART_S,
            found=f"at most {1000 * apart_s:.1f} ms apart; bound {1000 * clock_skew.MOST_APART_S:g} ms",
            remedy="have the nodes keep time (chrony, NTP): spans begin on one node and end on another",
        )


def _alone(load: LoadConfig, machines: Sequence[MachineSample]) -> Rule:
    """Of several machines, the one that others used most."""
    each = {name: cpu_use(samples) for name, samples in by_machine(machines).items()}
    uses = [(use.foreign, name) for name, use in each.items() if use is not None]
    foreign, machine = max(uses, default=(0.0, ""))
    where = "the machine" if len(each) == 1 else machine
    names = Counter(s.foreign_process for s in machines if s.foreign_process and s.machine == machine)
    busiest = f", most often {names.most_common(1)[0][0]}" if names and foreign > 1 else ""
    known = bool(each) and len(uses) == len(each)
    return Rule(
        name="nothing else used the CPU",
        holds=known and foreign <= load.max_foreign_cpu_percent,
        found=(
            f"others used {foreign:.1f}% of {where}{busiest}; bound {load.max_foreign_cpu_percent:g}%"
            if known
            else "no two samples of the machine were taken"
        ),
        remedy="stop other programs and run again",
    )
