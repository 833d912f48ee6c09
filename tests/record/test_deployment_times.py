"""Times of an application's calls by deployment: waits, processing, what is a deployment's own, busy time."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.record.calls import Call
from vbench.record.deployment_times import (
    deployment_times,
    deployments_in,
    of_deployments,
    own_intervals,
)
from vbench.record.intervals import merged


def call(name: str, deployment: str, began_s: float, ended_s: float, **changes: Any) -> Call:
    values: dict[str, Any] = {
        "request": "r",
        "call": name,
        "caller": None,
        "deployment": deployment,
        "replica": f"{deployment}#1",
        "node": "head",
        "made_s": began_s,
        "began_s": began_s,
        "ended_s": ended_s,
    }
    return Call(**{**values, **changes})


CHAIN = [
    call("f", "Front", 10.0, 20.0, made_s=9.5),
    call("e", "Embedder", 12.0, 15.0, caller="f", made_s=11.0),
    call("r", "Ranker", 15.5, 18.0, caller="f", made_s=11.5),
]
"""Front makes two calls and waits for both: the second one takes the result of the first."""


def test_a_deployment_that_waits_for_others_has_the_rest_of_the_time_to_itself() -> None:
    own, after = own_intervals(CHAIN)
    assert own == {"f": [(10.0, 11.0)], "e": [(12.0, 15.0)], "r": [(15.5, 18.0)]}
    assert after == {"f": [(18.0, 20.0)], "e": [], "r": []}
    front, embedder, ranker = deployment_times(CHAIN, {})
    assert (front.deployment, front.wait_mean_s, front.processing_mean_s) == ("Front", 0.5, 10.0)
    # Until 20.0 the result may be on its way back to Front: that is no work of Front's.
    assert (front.own_mean_s, front.after_calls_mean_s, front.busy_s) == (1.0, 2.0, 1.0)
    assert (embedder.wait_mean_s, embedder.own_mean_s) == (1.0, 3.0)
    assert (ranker.wait_mean_s, ranker.own_mean_s) == (4.0, 2.5)


def test_a_call_that_outlives_its_caller_takes_no_time_from_before_or_after_it() -> None:
    calls = [call("f", "Front", 10.0, 20.0), call("e", "Embedder", 18.0, 30.0, caller="f")]
    own, after = own_intervals(calls)
    assert (own["f"], after["f"]) == ([(10.0, 18.0)], [])


def test_what_is_between_two_calls_is_after_the_first() -> None:
    calls = [
        call("f", "Front", 10.0, 20.0),
        call("e", "Embedder", 11.0, 12.0, caller="f"),
        call("r", "Ranker", 15.0, 18.0, caller="f", made_s=14.0),
    ]
    own, after = own_intervals(calls)
    assert (own["f"], after["f"]) == ([(10.0, 11.0)], [(12.0, 14.0), (18.0, 20.0)])


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 10)), max_size=6))
def test_the_parts_of_a_call_add_up(made: list[tuple[float, float]]) -> None:
    calls = [call("f", "Front", 10.0, 20.0)]
    calls += [call(str(n), "E", at_s, at_s + long_s, caller="f") for n, (at_s, long_s) in enumerate(made)]
    own, after = own_intervals(calls)
    parts = sorted([*own["f"], *after["f"]])
    assert all(10.0 <= start_s < end_s <= 20.0 for start_s, end_s in parts)
    assert all(before[1] <= part[0] for before, part in pairwise(parts))
    under_way = merged(
        (max(10.0, s), min(20.0, s + long_s)) for s, long_s in made if s < 20.0 and s + long_s > 10.0
    )
    covered = sum(end_s - start_s for start_s, end_s in [*parts, *under_way])
    assert covered == pytest.approx(10.0)


def test_a_replica_with_several_calls_at_once_is_busy_once() -> None:
    calls = [
        call("a", "Embedder", 0.0, 4.0),
        call("b", "Embedder", 2.0, 6.0),
        call("c", "Embedder", 8.0, 9.0),
        call("d", "Embedder", 0.0, 3.0, replica="Embedder#2"),
    ]
    (times,) = deployment_times(calls, {"Embedder": {"head": 3, "gpu": 1}})
    assert (times.replicas, times.calls) == (4, 4)  # two of them had nothing to do
    assert times.busy_s == (7.0 + 3.0) / 4
    assert times.at_once == pytest.approx(12.0 / 10.0)


def test_a_wait_is_only_known_if_all_of_them_are() -> None:
    (times,) = deployment_times([call("a", "E", 1.0, 2.0), call("b", "E", 3.0, 4.0, made_s=None)], {})
    assert times.wait_mean_s is None
    metrics = of_deployments([times], requests=2, measured_s=4.0)
    assert "deployment_wait_mean_s.E" not in metrics
    assert metrics["deployment_busy_percent.E"] == 50.0


def test_metrics_have_names_that_mlflow_accepts_and_quantiles_only_of_enough_calls() -> None:
    calls = [call(str(n), "My (own) model", n, n + 0.1 * (n + 1)) for n in range(9)]
    metrics = of_deployments(deployment_times(calls, {}), requests=3, measured_s=9.0)
    assert deployments_in(metrics) == ["My _own_ model"]
    assert metrics["deployment_calls_per_request.My _own_ model"] == 3.0
    assert metrics["deployment_processing_p50_s.My _own_ model"] == pytest.approx(0.5)
    assert "deployment_processing_p90_s.My _own_ model" not in metrics
