"""Each resource is busy for as long as its work takes at least, and the busiest is the bottleneck."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.record.test_deployment_times import call
from tests.support import records
from vbench.analysis.bottleneck import find_bottleneck
from vbench.record.bottleneck import Bottleneck
from vbench.record.harness import Harness
from vbench.record.measurements import Measurements
from vbench.record.metrics import summarize
from vbench.record.network import Link
from vbench.record.requests import SpanLine
from vbench.record.samples import MachineSample
from vbench.record.trial import Trial

MB = 10**6


def trial(connections: int | None = 1, **changes: Any) -> Trial:
    """100 s of work: decoders on two replicas, frames from d to m, at 80 Mbit/s a flow, 800 a NIC."""
    config = records.trial().config
    links = [Link(node=node, nic_mbps=800.0, flow_mbps=80.0) for node in ("d", "m")]
    fields: dict[str, Any] = {
        "config": {**config, "runtime": {"name": "x", "connections": connections}},
        "metrics": {"makespan_s": 100.0, "latency_mean_s": 2.0},
        "network": records.network("d", "m", links=links),
        "load_report": records.load_report(placement={"VideoDecoder": {"d": 2}, "ModelInference": {"m": 1}}),
    }
    return records.trial(**{**fields, **changes})


def spans(decode_s: float, infer_s: float, nbytes: int) -> list[SpanLine]:
    return [
        records.span("chunk", "compute", 0.1, node="s"),
        records.span("decode", "compute", decode_s, node="d"),
        records.span("infer", "transfer", 1, nbytes, node="m"),
        records.span("infer", "compute", infer_s, node="m"),
    ]


def found_in(of: Trial, lines: list[SpanLine], machines: list[MachineSample]) -> Bottleneck | None:
    return find_bottleneck(of, Measurements(spans=lines, machines=machines))


def busy_s(resource: str, *arguments: Any) -> float:
    found = found_in(*arguments)
    assert found is not None
    return next(each.busy_s for each in found.resources if each.resource == resource)


def test_decoders_share_their_work_and_the_model_has_its_own() -> None:
    lines = spans(60, 20, MB)
    assert busy_s("decoders", trial(), lines, []) == pytest.approx(30, abs=1e-5)
    assert busy_s("models", trial(), lines, []) == pytest.approx(20, abs=1e-5)


def test_time_in_which_a_replica_works_on_several_calls_counts_once() -> None:
    def infer(replica: str, start_s: float, seconds: float) -> SpanLine:
        start = 1.7e9 + start_s
        return records.span(
            "infer", "compute", replica=replica, node="m", start_s=start, end_s=start + seconds
        )

    lines = [infer("m#1", 0, 10), infer("m#1", 4, 3), infer("m#1", 8, 6), infer("m#1", 20, 1)]
    assert busy_s("models", trial(), lines, []) == pytest.approx(15)
    assert busy_s("models", trial(), [*lines, infer("m#2", 0, 10)], []) == pytest.approx(25)


@pytest.mark.parametrize(("connections", "seconds"), [(1, 90), (None, 45), (15, 6)])
def test_connections_times_their_cap_bound_a_pair_of_nodes(connections: int | None, seconds: float) -> None:
    """900 MB at 10 MB/s a connection; where nothing is set Ray opens two."""
    assert busy_s("flows", trial(connections), spans(1, 1, 900 * MB), []) == pytest.approx(seconds)


def test_a_nic_bounds_all_that_a_node_sends_or_receives() -> None:
    found = found_in(trial(15), spans(1, 1, 900 * MB), [])
    assert found is not None
    assert found.busiest.resource == "NIC"
    assert found.busiest.busy_s == pytest.approx(9)
    assert found.busiest.where == "d sends at 800 Mbit/s"


def test_the_largest_limit_is_the_bottleneck_and_gives_the_efficiency() -> None:
    found = found_in(trial(1), spans(60, 20, 900 * MB), [])
    assert found is not None
    assert [each.resource for each in found.resources] == ["flows", "decoders", "models", "NIC"]
    assert found.busiest.where == "d to m, 1 connection of 80 Mbit/s"
    assert found.utilisation == pytest.approx(0.9)


def test_what_stays_on_a_node_needs_no_wire() -> None:
    lines = [records.span("decode", "compute", 1, node="m"), *spans(1, 1, MB)[2:]]
    found = found_in(trial(), lines, [])
    assert found is not None
    assert {each.resource for each in found.resources} == {"decoders", "models"}


def test_without_a_shaped_link_the_wire_has_no_known_cap() -> None:
    found = found_in(trial(network=None), spans(1, 1, 900 * MB), [])
    assert found is not None
    assert {each.resource for each in found.resources} == {"decoders", "models"}


def test_cores_are_needed_for_the_cpu_seconds_that_were_used() -> None:
    """Two cores, idle for 15%, over 100 s."""
    machines = [records.machine(at_s, cpu_idle_s=0.3 * at_s) for at_s in (1000.0, 1100.0)]
    assert busy_s("cores", trial(), spans(1, 1, MB), machines) == pytest.approx(85)


def test_a_transfer_is_held_against_the_time_in_which_its_objects_moved() -> None:
    """Two requests of 90 MB, each made for 3 s on busy cores, then moved in 10 s with half of them idle."""
    requests, lines, machines, used_s = [], [], [], 0.0
    for index in range(2):
        start_s = 100.0 + 13 * index
        sent_s, done_s = start_s + 3, start_s + 13
        requests.append(
            records.request(
                index,
                scheduled_s=sent_s,
                sent_s=sent_s,
                done_s=done_s,
                sent_unix_s=1.7e9 + sent_s,
                frame_bytes=90 * MB,
                video_s=0.0,
            )
        )
        for stage, kind, node, nbytes, from_s, to_s in (
            ("decode", "compute", "d", 0, start_s, sent_s),
            ("infer", "transfer", "m", 90 * MB, sent_s, done_s),
        ):
            times = {"start_s": 1.7e9 + from_s, "end_s": 1.7e9 + to_s}
            lines.append(records.span(stage, kind, nbytes=nbytes, request=index, node=node, **times))
        for at_s, busy_s in ((start_s, 0.0), (sent_s, 6.0)):
            used_s += busy_s
            machines.append(records.machine(at_s, cpu_all_s=2 * at_s, cpu_idle_s=2 * at_s - used_s))
        used_s += 10.0
    machines.append(records.machine(126.0, cpu_all_s=252.0, cpu_idle_s=252.0 - used_s))
    config = asdict(records.config("load=transfer", "cluster=emulated", "runtime=single"))
    found = found_in(
        trial(
            config=config,
            clip=None,
            metrics=summarize(None, Measurements(requests=requests, spans=lines, machines=machines)),
            load_report=records.load_report(placement={"Sender": {"d": 1}, "Receiver": {"m": 1}}),
        ),
        lines,
        machines,
    )
    assert found is not None
    assert found.measured_s == pytest.approx(20)
    assert found.busiest.where == "d to m, 1 connection of 80 Mbit/s"
    assert found.utilisation == pytest.approx(0.9)
    assert {each.resource: round(each.busy_s, 3) for each in found.resources} == {
        "flows": 18.0,
        "cores": 10.0,
        "NIC": 1.8,
    }


def test_a_trial_that_did_not_end_has_no_limits() -> None:
    assert found_in(trial(load_report=None), [], []) is None
    assert found_in(trial(metrics={}), spans(1, 1, 1), []) is None


def narrowed(*, cpus: list[int], quota: float | None = None, raylets: list[int] | None = None) -> Trial:
    """On one machine, where its processes may use just these CPUs."""
    facts: dict[str, Any] = {"quota_cpus": quota, "cpus": cpus}
    there = facts | {"cpus": raylets or cpus}
    return trial(
        harness=Harness(conditions={"harness": facts, "harness's machine": {"online_cpus": 4}}),
        load_report=records.load_report(
            placement={"VideoDecoder": {"d": 2}},
            conditions={"load process": facts, "raylet of head": there, "workers of head": there},
        ),
    )


FOUR_CORES_OF_WHICH_ONE_WORKS = [
    records.machine(at_s, cpu_all_s=4 * at_s, cpu_idle_s=3 * at_s, cpu_trial_s=0.98 * at_s)
    for at_s in (1000.0, 1100.0)
]


@pytest.mark.parametrize(
    ("bound", "where", "seconds"),
    [
        (narrowed(cpus=[2]), "1 usable of the 4 of host", 98),
        (narrowed(cpus=[0, 1, 2, 3], quota=1.0), "1 usable of the 4 of host", 98),
        (narrowed(cpus=[0, 1], quota=1.5), "1.5 usable of the 4 of host", 98 / 1.5),
        (narrowed(cpus=[0, 1], quota=3.0), "2 usable of the 4 of host", 49),
        (narrowed(cpus=[0], raylets=[1]), "2 usable of the 4 of host", 49),
        (narrowed(cpus=[0, 1, 2, 3]), "4 of host", 25),
        (narrowed(cpus=[0, 1, 2, 3], quota=8.0), "4 of host", 25),
        (trial(), "4 of host", 25),
    ],
)
def test_cores_that_the_trial_may_not_use_do_not_hide_that_the_others_are_its_limit(
    bound: Trial, where: str, seconds: float
) -> None:
    found = found_in(bound, spans(1, 1, 0), FOUR_CORES_OF_WHICH_ONE_WORKS)
    assert found is not None
    (cores,) = (each for each in found.resources if each.resource == "cores")
    assert cores.where == where
    assert cores.busy_s == pytest.approx(seconds)


def test_the_cores_of_machines_elsewhere_are_those_of_their_own_nodes() -> None:
    """The harness runs on another machine than the nodes a and b, which share one, and c."""
    wide, narrow = ({"quota_cpus": None, "cpus": cpus} for cpus in ([0, 1, 2, 3], [1]))
    elsewhere = trial(
        harness=Harness(conditions={"harness": {"quota_cpus": None, "cpus": [7]}}),
        load_report=records.load_report(
            placement={"VideoDecoder": {"a": 1}},
            conditions={
                "load process": wide,
                **{f"raylet of {name}": wide for name in ("a", "b")},
                "raylet of c": narrow,
            },
        ),
    )
    machines = [
        replace(sample, machine=name) for name in ("a+b", "c") for sample in FOUR_CORES_OF_WHICH_ONE_WORKS
    ]
    found = found_in(elsewhere, spans(1, 1, 0), machines)
    assert found is not None
    assert found.busiest.where == "1 usable of the 4 of c"
    only_wide = found_in(elsewhere, spans(1, 1, 0), machines[:2])
    assert only_wide is not None
    assert next(each.where for each in only_wide.resources if each.resource == "cores") == "4 of a+b"


def test_replicas_of_an_application_are_a_bottleneck_by_their_own_work() -> None:
    """A deployment that waits for another one is not busy, however long its calls take."""
    config = asdict(records.config("workload=app", "app.import_path=main:app"))
    report = records.load_report(placement={"Front": {"d": 1}, "Embedder": {"d": 1, "m": 1}})
    app = trial(config=config, network=None, load_report=report)
    calls = [
        call("f", "Front", 0.0, 100.0),
        call("a", "Embedder", 1.0, 100.0, caller="f", replica="Embedder#1"),
        call("b", "Embedder", 1.0, 97.0, caller="f", replica="Embedder#2"),
    ]
    found = find_bottleneck(app, Measurements(calls=calls))
    assert found is not None
    assert found.busiest.text == "Embedder's 2 replicas"
    assert found.busiest.busy_s == 97.5
    assert found.utilisation == 0.975


def test_objects_of_an_application_take_their_time_on_the_flows_between_nodes() -> None:
    """100 MB over one connection of 80 Mbit/s take 10 s, whatever else the NICs send."""
    config = asdict(records.config("workload=app", "app.import_path=main:app"))
    config["runtime"] = {"name": "x", "connections": 1}
    nodes = [
        records.sample(
            at_s,
            node=node,
            object_bytes={"m": sent} if node == "d" else {},
            nic_sent_bytes=2 * sent,
            nic_received_bytes=0,
        )
        for at_s, sent in ((0.0, 0), (100.0, 100 * MB))
        for node in ("d", "m")
    ]
    found = find_bottleneck(trial(config=config), Measurements(nodes=nodes))
    assert found is not None
    times = {one.text: one.busy_s for one in found.resources}
    assert times["flows (d to m, 1 connection of 80 Mbit/s)"] == 10.0
    assert times["NIC (d sends at 800 Mbit/s)"] == 2.0
