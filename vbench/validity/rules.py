"""The rules of validity: what must hold before a trial's numbers mean anything."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.emulated.validate import EMULATED
from vbench.config.runtime_env import variables_text
from vbench.config.schema import Config, LoadConfig
from vbench.config.workload import APP, TRANSFERS, workload_of
from vbench.errors import first_line
from vbench.ray_internals.object_manager import CHUNK_BYTES
from vbench.record import clock_skew
from vbench.record.clip import Clip
from vbench.record.cpu_use import by_machine, cpu_use
from vbench.record.harness import Harness
from vbench.record.load_report import Connections, LoadReport
from vbench.record.measurements import Measurements
from vbench.record.requests import Request
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.trial import Rule
from vbench.validity import (
    answers,
    completeness,
    conditions,
    expected_frames,
    foreign_gpu,
    known_answers,
    links_configured,
    links_during,
    links_set_the_pace,
    own_cpu,
    settings_in_force,
    speed,
    stalls,
    trial_checks,
)
from vbench.validity.catalog.load import CLIENT_ON_TIME
from vbench.validity.catalog.machine import CLOCKS_AGREE, NO_FOREIGN_CPU, NO_OOM_KILL, NOTHING_SPILLED
from vbench.validity.catalog.record import FINISHED, JUDGEABLE
from vbench.validity.catalog.runtime import (
    FLAGS_IN_FORCE,
    FLAGS_OF_ATTACHED,
    NOTHING_MOVED,
    TOO_FEW_OBJECTS,
    TOO_LITTLE_MOVED,
    WRONG_CONNECTIONS,
)
from vbench.validity.catalog.service import ALL_WARM


def judge(
    config: Config,
    load_report: LoadReport | None,
    measured: Measurements,
    clip: Clip | None = None,
    harness: Harness | None = None,
) -> list[Rule]:
    """Judge all rules over the measured requests and the samples taken while they ran.

    ``observed``: what the load process reported, None if it did not come to its end; ``clip``: the video,
    None for a load without one; ``harness``: what the harness saw itself, None for earlier records.
    """
    if load_report is None:
        return [
            FINISHED.verdict(
                passed=False,
                observed="the trial did not finish",
            )
        ]
    requests, machines, network = measured.requests, measured.machines, measured.network
    judges: list[Callable[[], Iterable[Rule]]] = [
        lambda: answers.judge(config, requests, load_report),
        lambda: [
            _runtime(config, load_report),
            *settings_in_force.judge(config, load_report),
            *_replicas_warm(load_report),
            _client_on_time(config.load, requests),
        ],
        lambda: _resources(config.load, load_report, measured.nodes, machines),
        lambda: completeness.judge(config, load_report, measured, clip, harness),
        lambda: expected_frames.judge(config, clip, requests),
        lambda: known_answers.judge(config, clip, requests),
        lambda: trial_checks.judge(config, load_report, measured, clip),
        lambda: stalls.judge(config.load, load_report, measured, harness),
        lambda: conditions.judge(config, load_report, harness, machines),
        lambda: speed.judge(config.load, harness, load_report),
        lambda: foreign_gpu.judge(config, machines),
        lambda: own_cpu.judge(config, measured),
        lambda: _transfers_fit(measured),
    ]
    if network is not None and config.cluster.name == EMULATED:
        judges.append(lambda: links_configured.judge(config, load_report, network, measured.nodes))
    if network is not None:
        judges += [
            lambda: links_set_the_pace.judge(config, network, measured),
            lambda: links_during.judge(config, load_report, network, measured),
        ]
    return list(dict.fromkeys(rule for judge_some in judges for rule in _judged(judge_some)))


def _judged(judge_some: Callable[[], Iterable[Rule]]) -> list[Rule]:
    """Some rules, or a single broken one if the record's facts cannot be judged."""
    try:
        return list(judge_some())
    except Exception as error:  # noqa: BLE001 - whatever a damaged record makes of them
        return [unjudgeable(error)]


def unjudgeable(error: Exception) -> Rule:
    """The broken rule for a record whose facts do not fit together, so that ``error`` was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return JUDGEABLE.verdict(
        passed=False,
        observed=f"{first_line(error)} ({type(error).__name__} in {Path(where.filename).name})",
    )


def _transfers_fit(measured: Measurements) -> Iterable[Rule]:
    """No rule of its own: what moved between nodes, which metrics are made of, can be told from the spans."""
    if len({sample.node for sample in measured.nodes}) > 1:
        assert measured.transferred_bytes >= 0
    return ()


def _runtime(config: Config, load_report: LoadReport) -> Rule:
    asked = dict(load_report.flags_requested)
    nodes = list(config.cluster.nodes)
    raylets = load_report.flags_found
    unread = [node for node in raylets if node.flags is None]
    differ = [node for node in raylets if node.flags is not None and dict(node.flags) != asked]
    is_app = workload_of(config) == APP
    pairs = [pair for pair in load_report.connections if not is_app or _opened_all(pair)]
    wrong = [pair for pair in pairs if pair.established != pair.expected]
    wanted = variables_text(asked)
    remedy = FLAGS_OF_ATTACHED.text if config.cluster.name == ATTACHED else None
    passed = False
    if sorted(node.node for node in raylets) != sorted(nodes):
        observed = f"{len(raylets)} raylets were found on {len(nodes)} nodes"
    elif unread:
        observed = (
            f"the environment of the raylet of {unread[0].node} (process {unread[0].raylet_pid}) could not be"
            " read"
        )
    elif differ:
        observed = (
            f"requested: {wanted}; the raylet of {differ[0].node} (process {differ[0].raylet_pid}) has"
            f" {dict(differ[0].flags or {})}"
        )
    elif wrong:
        observed, remedy = _not_connected(wrong[0], moved=workload_of(config) == TRANSFERS)
    elif len(nodes) > 1 and not pairs and not is_app:
        observed = "no frames moved between nodes, so there were no connections to count"
        remedy = NOTHING_MOVED.text
    else:
        passed = True
        where = "the raylet" if len(nodes) == 1 else f"all {len(nodes)} raylets"
        observed = f"{wanted}, in the environment of {where}; "
        observed += _connected(pairs, len(nodes))
    return FLAGS_IN_FORCE.verdict(
        passed=passed,
        observed=observed,
        remedy=(remedy),
    )


def _opened_all(pair: Connections) -> bool:
    """Whether enough moved to open all connections, or more than these are open."""
    return pair.moved_bytes >= 2 * pair.expected * CHUNK_BYTES or pair.established > pair.expected


def _connected(pairs: Sequence[Connections], nodes: int) -> str:
    if nodes == 1:
        return "on one node there are no connections to count"
    if not pairs:
        return "too few bytes moved between nodes to open all connections, so they were not counted"
    return ", ".join(f"{_count(pair)} from {pair.sender} to {pair.receiver}" for pair in pairs)


def _count(pair: Connections) -> str:
    return f"{pair.established} connection{'' if pair.established == 1 else 's'}"


def _not_connected(pair: Connections, *, moved: bool) -> tuple[str, str]:
    """What was observed, and the remedy; ``moved``: the load moves objects and has no video."""
    observed = f"{_count(pair)} from {pair.sender} to {pair.receiver} instead of {pair.expected}"
    least_bytes = 2 * pair.expected * CHUNK_BYTES
    if pair.established < pair.expected and pair.moved_bytes < least_bytes:
        return (
            f"{observed}; {pair.moved_bytes / 1e6:.1f} MB are too few to open all connections, which takes up"
            f" to two pieces of 5 MiB each ({least_bytes / 1e6:.1f} MB)",
            TOO_FEW_OBJECTS.text if moved else TOO_LITTLE_MOVED.text,
        )
    return observed, WRONG_CONNECTIONS.text


def _replicas_warm(load_report: LoadReport) -> Iterator[Rule]:
    if load_report.cold_deployments is None:
        return
    yield ALL_WARM.verdict(
        passed=not load_report.cold_deployments,
        observed=(
            f"a replica of {', '.join(load_report.cold_deployments)} had no warm-up request"
            if load_report.cold_deployments
            else "all replicas had work in the warm-up"
        ),
    )


def _client_on_time(load: LoadConfig, requests: Sequence[Request]) -> Rule:
    late_ms = max((r.late_s * 1000 for r in requests), default=0.0)
    return CLIENT_ON_TIME.verdict(
        passed=late_ms <= load.max_late_ms,
        observed=f"requests were sent at most {late_ms:.1f} ms late, limit {load.max_late_ms:g} ms",
    )


def _resources(
    load: LoadConfig,
    load_report: LoadReport,
    nodes: Sequence[NodeSample],
    machines: Sequence[MachineSample],
) -> Iterator[Rule]:
    spilled_mb = max((s.spilled_mb + s.fallback_mb for s in nodes), default=0.0)
    yield NOTHING_SPILLED.verdict(
        passed=bool(nodes) and spilled_mb == 0,
        observed=f"{spilled_mb:.0f} MB spilled" if nodes else "there is no sample",
    )
    kills = load_report.oom_kills
    yield NO_OOM_KILL.verdict(
        passed=kills == 0,
        observed="the kernel does not count killed processes" if kills is None else f"{kills} killed",
    )
    yield _no_foreign_cpu(load, machines)
    if load_report.clocks_off_s:
        apart_s = clock_skew.apart_s(load_report.clocks_off_s)
        yield CLOCKS_AGREE.verdict(
            passed=apart_s <= clock_skew.MOST_APART_S,
            observed=(f"at most {1000 * apart_s:.1f} ms apart; limit {1000 * clock_skew.MOST_APART_S:g} ms"),
        )


def _no_foreign_cpu(load: LoadConfig, machines: Sequence[MachineSample]) -> Rule:
    """For several machines, the one that other programs used most."""
    use_of = {name: cpu_use(samples) for name, samples in by_machine(machines).items()}
    uses = [(use.foreign, name) for name, use in use_of.items() if use is not None]
    foreign, machine = max(uses, default=(0.0, ""))
    where = "the machine" if len(use_of) == 1 else machine
    names = Counter(s.foreign_process for s in machines if s.foreign_process and s.machine == machine)
    busiest = f", most often {names.most_common(1)[0][0]}" if names and foreign > 1 else ""
    stolen = max((use.stolen for use in use_of.values() if use is not None), default=0.0)
    taken = f"; {stolen:.1f}% was taken by other virtual machines" if stolen >= 0.1 else ""
    known = bool(use_of) and len(uses) == len(use_of)
    return NO_FOREIGN_CPU.verdict(
        passed=known and foreign <= load.max_foreign_cpu_percent,
        observed=(
            f"other programs used {foreign:.1f}% of {where}{busiest}{taken}; limit"
            f" {load.max_foreign_cpu_percent:g}%"
            if known
            else "there are fewer than two samples of the machine"
        ),
    )
