"""A record that lacks what a rule is judged by is not valid, rather than judged by fewer rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from tests.validity import honest, parts
from vbench.record.measurements import Measurements
from vbench.record.types import Rule
from vbench.validity.completeness import judge


def facts() -> dict[str, Any]:
    """Of a trial on this machine, all of whose facts are there."""
    record = honest.record()
    watched = parts.observed()
    return {
        "config": record.config,
        "observed": replace(record.observed, stalls=watched.stalls, conditions=watched.conditions, cold=[]),
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
    assert judged(facts()).holds


def of(part: str, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda known: {**known, part: replace(known[part], **changes)}


def of_graph(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        observed = known["observed"]
        return {**known, "observed": replace(observed, graph=replace(observed.graph, **changes))}

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
        (of("observed", stalls=()), "the stalls of the load process"),
        (of("observed", conditions={}), "the conditions of head's raylet"),
        (of("observed", cold=None), "which replicas were warm"),
        (of_graph(compute_alone_s={}), "what a frame costs alone"),
        (of_graph(compute_first_s={}), "what a frame cost in the warm-up"),
        (without_counts("api_requests"), "how many HTTP requests the API had"),
        (without_counts("proxy_requests"), "how many HTTP requests Serve's proxy had"),
        (unwatched("VideoDecoder"), "what was seen of the work of VideoDecoder"),
        (unwatched("ModelInference"), "what was seen of the work of ModelInference"),
        (without("clip", None), "the clip"),
        (of("clip", checks=()), "the checks of a reference pass"),
        (without("requests", [records.request()]), "whether detections were repeated"),
        (without("nodes", []), "samples of head"),
        (without("machines", []), "samples of a machine"),
    ],
)
def test_what_is_missing_is_named(change: Callable[[dict[str, Any]], dict[str, Any]], missing: str) -> None:
    rule = judged(change(facts()))
    assert not rule.holds
    assert missing in rule.found


def test_a_cluster_with_links_needs_their_record() -> None:
    known = facts()
    known["config"].cluster.name = "emulated"
    assert "the network's links" in judged(known).found


def test_a_record_of_before_reference_passes_were_checked_needs_no_checks() -> None:
    known = facts()
    earlier = [replace(one, detections_repeated=None) for one in known["requests"]]
    assert judged({**known, "clip": replace(known["clip"], checks=()), "requests": earlier}).holds


def test_a_record_of_before_the_harness_recorded_anything_is_not_judged() -> None:
    assert judge_all({**facts(), "harness": None}) == []
