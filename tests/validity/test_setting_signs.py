"""What is seen of a setting in processes, beside its variable, must agree with its value."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from vbench.ray_internals.setting_readers import Role
from vbench.ray_internals.setting_signs import (
    CHUNK_SIZE_VARIABLE,
    FREEZE_VARIABLE,
    GRPC_VARIABLE,
    ROUTER_LOOP_VARIABLE,
    TRANSFER_THREADS_VARIABLE,
    USER_LOOP_VARIABLE,
    Sign,
    effective,
    signs_of,
)
from vbench.record.load_report import Graph, Listener, ProcessSettings, SettingSign
from vbench.record.trial import Rule
from vbench.validity.settings_in_force import judge

DIRECT = "RAY_SERVE_ENABLE_DIRECT_INGRESS"
HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
OPTIMIZED = "RAY_SERVE_THROUGHPUT_OPTIMIZED"
MIB = 2**20


def seen(sign: Sign, *values: float | None) -> list[SettingSign]:
    return [
        SettingSign(sign=sign, node="head", process=f"Stage#{number}", value=value)
        for number, value in enumerate(values)
    ]


def verdict(env: dict[str, str], signs: list[SettingSign], *overrides: str, **changes: Any) -> Rule:
    processes = [
        ProcessSettings(role=role, node="head", pid=number, found=env) for number, role in enumerate(Role)
    ]
    config = records.config(*overrides)
    config.runtime.env.update(env)
    (rule,) = judge(config, records.load_report(settings_found=processes, setting_signs=signs, **changes))
    return rule


AGREEING = [
    (CHUNK_SIZE_VARIABLE, str(MIB), Sign.CHUNK_BYTES, (None, 1_000_000.0), "1000000 bytes per chunk"),
    (TRANSFER_THREADS_VARIABLE, "3", Sign.TRANSFER_THREADS, (3,), "3 threads of a raylet take chunks"),
    (GRPC_VARIABLE, "1", Sign.GRPC_CONNECTIONS, (0, 2), "1 of 2 replicas are called over gRPC"),
    (GRPC_VARIABLE, "0", Sign.GRPC_CONNECTIONS, (0, 0), "0 of 2 replicas are called over gRPC"),
    (DIRECT, "1", Sign.HTTP_PORT, (0, 30000), "1 of 2 replicas take requests themselves"),
    (HAPROXY, "1", Sign.HAPROXY_REQUESTS, (8,), "HAProxy took 8 requests"),
    (USER_LOOP_VARIABLE, "0", Sign.USER_LOOP, (0, 0), "0 of 2 replicas have an event loop for the user's"),
    (ROUTER_LOOP_VARIABLE, "1", Sign.ROUTER_LOOP, (0, 1), "1 of 2 replicas have an event loop for their"),
    (FREEZE_VARIABLE, "1", Sign.FROZEN_OBJECTS, (9e4, 2e5), "2 of 2 replicas have frozen objects"),
]


@pytest.mark.parametrize(("name", "value", "sign", "values", "text"), AGREEING)
def test_a_sign_that_agrees_is_told(
    name: str, value: str, sign: Sign, values: tuple[float | None, ...], text: str
) -> None:
    rule = verdict({name: value}, seen(sign, *values))
    assert rule.passed
    assert text in rule.observed


@pytest.mark.parametrize(
    ("name", "value", "sign", "values", "text"),
    [
        (
            CHUNK_SIZE_VARIABLE,
            str(MIB),
            Sign.CHUNK_BYTES,
            (5e6,),
            "raylet on head received 5000000 bytes",
        ),
        (TRANSFER_THREADS_VARIABLE, "1", Sign.TRANSFER_THREADS, (2,), "the raylet on head has 2 threads"),
        (GRPC_VARIABLE, "1", Sign.GRPC_CONNECTIONS, (0, 0), "no replica has a connection to its gRPC port"),
        (GRPC_VARIABLE, "0", Sign.GRPC_CONNECTIONS, (0, 2), "Stage#1 has 2 connections to its gRPC port"),
        (DIRECT, "1", Sign.HTTP_PORT, (0, 0), "no replica takes requests itself"),
        (DIRECT, "0", Sign.HTTP_PORT, (0, 30000), "Stage#1 takes requests itself, at port 30000"),
        (HAPROXY, "1", Sign.HAPROXY_REQUESTS, (0,), "HAProxy took no requests"),
        (
            USER_LOOP_VARIABLE,
            "0",
            Sign.USER_LOOP,
            (0, 1),
            "Stage#1 runs on an event loop of its own",
        ),
        (USER_LOOP_VARIABLE, "1", Sign.USER_LOOP, (1, 0), "the code of Stage#1 runs on Serve's event loop"),
        (ROUTER_LOOP_VARIABLE, "0", Sign.ROUTER_LOOP, (0, 1), "the handles of Stage#1 have an event loop"),
        (ROUTER_LOOP_VARIABLE, "1", Sign.ROUTER_LOOP, (0, 0), "the handles of no replica have an event loop"),
        (FREEZE_VARIABLE, "0", Sign.FROZEN_OBJECTS, (0, 9), "leaves out 9 objects of Stage#1"),
        (FREEZE_VARIABLE, "1", Sign.FROZEN_OBJECTS, (9, 0), "leaves out no objects of Stage#1"),
    ],
)
def test_a_sign_that_contradicts_the_setting_breaks_the_rule(
    name: str, value: str, sign: Sign, values: tuple[float, ...], text: str
) -> None:
    rule = verdict({name: value}, seen(sign, *values))
    assert not rule.passed
    assert text in rule.observed
    assert rule.observed.endswith(f"although {name}={value}")


@pytest.mark.parametrize(("name", "value", "sign", "values", "text"), AGREEING)
def test_a_sign_of_which_there_was_nothing_to_see_breaks_no_rule(
    name: str, value: str, sign: Sign, values: tuple[float | None, ...], text: str
) -> None:
    rule = verdict({name: value}, seen(sign, None, None))
    assert rule.passed
    assert f"nothing to see of {sign}" in rule.observed


def test_another_application_need_not_call_a_replica() -> None:
    signs = seen(Sign.GRPC_CONNECTIONS, 0)
    assert verdict({GRPC_VARIABLE: "1"}, signs, "workload=app", "app.import_path=graph:app").passed


def test_objects_of_a_known_size_come_in_chunks_no_smaller_than_they_give() -> None:
    transfer = ("load=transfer", "cluster=emulated", "load.object_mb=64")
    config = records.config(*transfer)
    processes = [
        ProcessSettings(role=role, node=node, pid=number, found={CHUNK_SIZE_VARIABLE: str(16 * MIB)})
        for number, role in enumerate(Role)
        for node in config.cluster.nodes
    ]
    for value, passed in ((16e6, True), (64e6 / 13, False)):
        config.runtime.env[CHUNK_SIZE_VARIABLE] = str(16 * MIB)
        signs = seen(Sign.CHUNK_BYTES, value)
        (rule,) = judge(config, records.load_report(settings_found=processes, setting_signs=signs))
        assert rule.passed == passed, rule.observed


def test_the_optimized_setting_has_the_signs_of_its_parts() -> None:
    assert effective({OPTIMIZED: "1", GRPC_VARIABLE: "0"}) == {
        OPTIMIZED: "1",
        GRPC_VARIABLE: "0",
        DIRECT: "1",
        USER_LOOP_VARIABLE: "0",
        ROUTER_LOOP_VARIABLE: "0",
        FREEZE_VARIABLE: "1",
    }
    assert effective({OPTIMIZED: "0"}) == {OPTIMIZED: "0"}
    assert signs_of({HAPROXY: "1"}) == {Sign.HAPROXY_REQUESTS, Sign.HTTP_PORT}
    rule = verdict({OPTIMIZED: "1"}, seen(Sign.GRPC_CONNECTIONS, 0, 0))
    assert f"no replica has a connection to its gRPC port, although {GRPC_VARIABLE}=1" in rule.observed


@pytest.mark.parametrize(
    ("name", "command", "port", "passed"),
    [
        (HAPROXY, "/opt/haproxy -db", 8000, True),
        (HAPROXY, "ray::ProxyActor", 8000, False),
        (DIRECT, "ray::ServeReplica:vbench:VideoProcessingAPI", 30000, True),
        (DIRECT, "ray::ProxyActor", 8000, False),
        (OPTIMIZED, "ray::ProxyActor", None, True),
    ],
    ids=["haproxy", "haproxy's place", "replica", "replica's place", "earlier record"],
)
def test_what_took_the_requests_is_what_the_setting_says(
    name: str, command: str, port: int | None, passed: bool, graph: Graph
) -> None:
    listener = Listener(pid=7, command=command, own=True, present_percent=100.0, port=port)
    rule = verdict({name: "1"}, [], graph=replace(graph, listeners=[listener]))
    assert rule.passed == passed
    assert passed or f"process 7 ({command}) took the requests" in rule.observed


@pytest.fixture
def graph() -> Graph:
    return Graph(
        deployment_id="1",
        listeners=[],
        replicas_before=[],
        replicas_after=[],
        replicas_configured={},
        model_fingerprint="",
        served_before={},
        warm_up_requests=0,
        compute_alone_s={},
        compute_first_s={},
    )
