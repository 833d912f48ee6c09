"""What Serve's processes trace is put together to calls, with their callers and in one time."""

from dataclasses import replace

from vbench.ray_internals import serve_calls
from vbench.ray_internals.serve import ReplicaActor
from vbench.ray_internals.serve_calls import CallSpan
from vbench.telemetry.serve_calls import ProcessSpans, calls_of, cold_deployments, deployment_title

PROXY, FRONT, MODEL = "proxy", "Front#a", "Model#b"
S = 10**9


def spans(routing: bool, span: int, parent: int | None, start_s: float, end_s: float) -> CallSpan:
    return CallSpan(routing, 7, span, parent, int(start_s * S), int(end_s * S))


def processes() -> list[ProcessSpans]:
    """A request that the proxy passes to Front, which calls Model on a node whose clock is 100 s ahead."""
    return [
        ProcessSpans(deployment="Model", replica=MODEL, node="gpu", spans=[spans(False, 5, 4, 112, 113)]),
        ProcessSpans(
            deployment="Front",
            replica=FRONT,
            node="head",
            spans=[spans(True, 4, 3, 11, 12), spans(False, 3, 2, 10, 14)],
        ),
        ProcessSpans(deployment=None, replica=PROXY, node="head", spans=[spans(True, 2, 1, 9, 10)]),
    ]


def test_calls_have_their_callers_and_the_harness_time() -> None:
    front, model = calls_of(processes(), {"gpu": 100.0})
    assert (front.deployment, front.caller, front.made_s, front.began_s, front.ended_s) == (
        "Front",
        None,
        9.0,
        10.0,
        14.0,
    )
    assert (model.caller, model.made_s, model.began_s, model.ended_s) == (front.call, 11.0, 12.0, 13.0)
    assert (model.request, model.node, model.replica) == (front.request, "gpu", MODEL)


def test_a_call_whose_caller_was_not_traced_has_none() -> None:
    (model,) = calls_of(processes()[:1], {})
    assert (model.caller, model.made_s) == (None, None)


def test_a_replica_without_a_call_in_the_warm_up_makes_its_deployment_cold() -> None:
    front, model = calls_of(processes(), {})
    other = replace(model, replica="Model#c")
    assert cold_deployments([front, model], [front, model, model]) == []
    assert cold_deployments([front, model], [front, model, other]) == ["Model"]
    assert cold_deployments([], [model, front]) == ["Front", "Model"]
    assert cold_deployments(None, [front]) is None
    assert cold_deployments([front], None) is None


def test_calls_from_an_endpoint_of_fastapi_have_the_callers_that_were_under_way() -> None:
    """Two requests at a time; their calls of two models are traced without a caller, as requests alone."""

    def orphan(number: int, made_s: float) -> tuple[CallSpan, CallSpan]:
        times = (int(made_s * S), int((made_s + 1) * S))
        return (
            CallSpan(True, number, number, None, *times),
            CallSpan(False, number, number + 1, number, *times),
        )

    fast, slow = [orphan(20, 11.0), orphan(30, 11.5)], [orphan(40, 12.0), orphan(50, 12.5)]
    front = [spans(False, 3, None, 10, 16), spans(False, 5, None, 10.5, 17), spans(False, 6, None, 17.5, 18)]
    front += [routing for routing, _ in (*fast, *slow)]
    found = calls_of(
        [
            ProcessSpans(deployment="Front", replica=FRONT, node="head", spans=front),
            ProcessSpans(deployment="Fast", replica="Fast#c", node="gpu", spans=[call for _, call in fast]),
            ProcessSpans(deployment="Slow", replica="Slow#d", node="gpu", spans=[call for _, call in slow]),
        ],
        {},
    )
    callers = {one.call: one.caller for one in found}
    first, second = f"{3:016x}", f"{5:016x}"
    assert [callers[f"{number:016x}"] for number in (21, 31, 41, 51)] == [first, second, first, second]
    assert {one.request for one in found} == {f"{7:032x}"}


def test_deployments_of_several_applications_are_told_apart() -> None:
    replica = ReplicaActor(
        name="n", application="shop", deployment="Front", replica="Front#a", node_id="1", pid=1, actor="a"
    )
    assert deployment_title(replica, several=False) == "Front"
    assert deployment_title(replica, several=True) == "shop/Front"


def test_spans_are_kept_by_their_first_name_and_handed_over_once() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    for processor in serve_calls.exporter():
        provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    serve_calls.take()
    with tracer.start_as_current_span("replica_handle_request Front __call__") as outer:
        outer.update_name("route_to_replica Model __call__")
        with tracer.start_as_current_span("route_to_replica"):
            pass
        with tracer.start_as_current_span("proxy_http_request"):
            pass
    routing, handled = serve_calls.take()
    assert (routing.is_routing, handled.is_routing) == (True, False)
    assert routing.parent == handled.span
    assert handled.parent is None
    assert serve_calls.take() == []


def test_a_variable_of_the_runtime_wins() -> None:
    from pathlib import Path

    from vbench.clusters.ray_node import node_environment
    from vbench.config.schema import RuntimeConfig

    own = {serve_calls.EXPORTER_VARIABLE: "mine:exporter"}
    for env in ({}, own):
        given = node_environment(RuntimeConfig(env=env), Path("/its/folder"))
        assert given[serve_calls.EXPORTER_VARIABLE] == (
            own[serve_calls.EXPORTER_VARIABLE] if env else "vbench.ray_internals.serve_calls:exporter"
        )
    assert serve_calls.EXPORTER_VARIABLE not in node_environment(RuntimeConfig())
