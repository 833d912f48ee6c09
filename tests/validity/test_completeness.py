"""A record that lacks what a rule is judged by is not valid, rather than judged by fewer rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from tests.validity import honest, parts
from vbench.record.measurements import Measurements
from vbench.record.trial import Rule
from vbench.validity.completeness import judge


def facts() -> dict[str, Any]:
    """Of a trial on this machine, all of whose facts are there."""
    record = honest.record()
    watched = parts.load_report()
    return {
        "config": record.config,
        "load_report": replace(
            record.load_report, stalls=watched.stalls, conditions=watched.conditions, cold_deployments=[]
        ),
        "requests": record.requests,
        "nodes": [records.sample(100.0)],
        "machines": record.machines,
        "network": None,
        "clip": record.clip,
        "harness": parts.harness(),
    }


def judged(known: dict[str, Any]) -> Rule:
    (rule,) = judge_all(known)
    return rule


def judge_all(known: dict[str, Any]) -> list[Rule]:
    lines = {name: known[name] for name in ("requests", "nodes", "machines", "network")}
    others = {name: fact for name, fact in known.items() if name not in lines}
    return list(judge(**others, measured=Measurements(**lines)))


def test_a_whole_record_is_complete() -> None:
    assert judged(facts()).passed


def of(part: str, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda known: {**known, part: replace(known[part], **changes)}


def of_graph(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        load_report = known["load_report"]
        return {**known, "load_report": replace(load_report, graph=replace(load_report.graph, **changes))}

    return change


def without(part: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda known: {**known, part: value}


def without_counts(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        return {**known, "requests": [replace(one, **{name: None}) for one in known["requests"]]}

    return change


def unwatched(deployment: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """One of its replicas said nothing of its work on one request."""

    def change(known: dict[str, Any]) -> dict[str, Any]:
        first, *others = known["requests"]
        replicas = [
            replace(each, work=[]) if each.replica.startswith(deployment) else each for each in first.replicas
        ]
        return {**known, "requests": [replace(first, replicas=replicas), *others]}

    return change


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (of("harness", conditions={}), "the harness's conditions"),
        (of("harness", stalls=()), "the harness's stalls"),
        (of("harness", speed_before=None), "the machine's speed before the trial"),
        (of("harness", speed_after=None), "the machine's speed after the trial"),
        (of("load_report", stalls=()), "the stalls of the load process"),
        (of("load_report", conditions={}), "the conditions of head's raylet"),
        (of("load_report", cold_deployments=None), "which replicas were warm"),
        (of_graph(compute_alone_s={}), "the cost of a frame by itself"),
        (of_graph(compute_first_s={}), "the cost of a frame in the warm-up"),
        (without_counts("api_requests"), "the number of HTTP requests to the API"),
        (without_counts("proxy_requests"), "the number of HTTP requests to Serve's proxy"),
        (unwatched("VideoDecoder"), "the observed work of VideoDecoder"),
        (unwatched("ModelInference"), "the observed work of ModelInference"),
        (without("clip", None), "the clip"),
        (of("clip", checks=()), "the checks of a reference pass"),
        (without("requests", [records.request()]), "the number of repeated detections"),
        (without("nodes", []), "samples of head"),
        (without("machines", []), "samples of a machine"),
    ],
)
def test_what_is_missing_is_named(change: Callable[[dict[str, Any]], dict[str, Any]], missing: str) -> None:
    rule = judged(change(facts()))
    assert not rule.passed
    assert missing in rule.observed


def test_a_cluster_with_links_needs_their_record() -> None:
    known = facts()
    known["config"].cluster.name = "emulated"
    assert "the network's links" in judged(known).observed


def test_a_record_of_before_reference_passes_were_checked_needs_no_checks() -> None:
    known = facts()
    earlier = [replace(one, detections_repeated=None) for one in known["requests"]]
    assert judged({**known, "clip": replace(known["clip"], checks=()), "requests": earlier}).passed


def test_a_record_of_before_the_harness_recorded_anything_is_not_judged() -> None:
    assert judge_all({**facts(), "harness": None}) == []
