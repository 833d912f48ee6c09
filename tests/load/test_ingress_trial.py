"""Whole trials in which requests do not go through Serve's own proxy: by HAProxy, and straight to the API."""

from pathlib import Path

import pytest

from tests.support.runs import SCENE, SMALL, Workplace
from vbench.ray_internals.setting_signs import Sign
from vbench.record.files import read_trial
from vbench.record.load_report import Graph
from vbench.record.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.long]

SHARED = Path("/tmp/haproxy-serve")
"""Where Ray would put HAProxy's files, for all users of a machine."""
SETTINGS = "every process has the runtime's variables"
LISTENERS = "only this trial's proxy took connections"


def test_haproxy_and_direct_ingress_take_the_requests_and_leave_nothing(workplace: Workplace) -> None:
    status, output = workplace.run(
        "--multirun", *SMALL, *SCENE, "runtime=haproxy,throughput_optimized", "tracking=off"
    )
    assert status == 0, output
    trials = {trial.config["runtime"]["name"]: trial for trial in map(read_trial, workplace.trials())}
    assert trials.keys() == {"haproxy", "throughput_optimized"}
    for trial in trials.values():
        assert trial.valid, [rule.line for rule in trial.broken]

    haproxy, direct = trials["haproxy"], trials["throughput_optimized"]
    assert observed(haproxy, LISTENERS) == "only this trial's HAProxy listened, all the time"
    assert "; HAProxy took 4 requests; 1 of 4 replicas take requests themselves" in observed(
        haproxy, SETTINGS
    )
    graph = graph_of(haproxy)
    assert (graph.proxy_served_before, graph.proxy_served_after) == (1, 4)

    assert observed(direct, LISTENERS) == "only this trial's replica listened, all the time"
    text = observed(direct, SETTINGS)
    assert "1 of 4 replicas take requests themselves" in text
    assert "0 of 4 replicas have an event loop for the user's code alone" in text
    assert "0 of 4 replicas have an event loop for their handles alone" in text
    assert "4 of 4 replicas have frozen objects" in text
    assert direct.load_report is not None
    grpc = [one for one in direct.load_report.setting_signs if one.sign == Sign.GRPC_CONNECTIONS]
    assert [one.process.split("#")[0] for one in grpc if one.value] == ["VideoProcessingService"]

    assert workplace.left() == []
    assert not SHARED.exists()


def graph_of(trial: Trial) -> Graph:
    assert trial.load_report is not None
    assert trial.load_report.graph is not None
    return trial.load_report.graph


def observed(trial: Trial, name: str) -> str:
    return next(rule.observed for rule in trial.rules if rule.name == name)
