"""Who took the requests, and how many, when that was HAProxy or the replicas themselves."""

from dataclasses import replace

import pytest

from tests.validity import honest
from tests.validity.honest import Record
from vbench.ray_internals.ingress import DIRECT_VARIABLE, HAPROXY_VARIABLE, OPTIMIZED_VARIABLE
from vbench.record.load_report import Listener
from vbench.record.trial import Rule
from vbench.validity import answered_by, completeness, served

PORT = 30000
HAPROXY = Listener(pid=8, command="/opt/haproxy -db -f /tmp/h", own=True, present_percent=100.0, port=PORT)
REPLICA = replace(HAPROXY, pid=9, command="ray::ServeReplica:vbench:VideoProcessingAPI")


def record(**env: str) -> Record:
    """Without the proxy's count in responses, as replicas and HAProxy leave it out."""
    whole = honest.record()
    whole.config.runtime.env.update(env)
    return replace(whole, requests=[replace(one, proxy_requests=None) for one in whole.requests])


def listened(*listeners: Listener) -> Rule:
    with_them = record().with_graph(listeners=list(listeners))
    *_, rule = answered_by.judge(with_them.graph, with_them.requests, with_them.spans)
    return rule


@pytest.mark.parametrize(
    ("listeners", "observed"),
    [
        ([HAPROXY], "only this trial's HAProxy listened, all the time"),
        ([REPLICA], "only this trial's replica listened, all the time"),
        ([REPLICA, replace(REPLICA, port=PORT + 1)], "only this trial's 2 replicas listened, all the time"),
    ],
)
def test_the_trials_own_may_listen(listeners: list[Listener], observed: str) -> None:
    rule = listened(*listeners)
    assert (rule.passed, rule.observed) == (True, observed)


@pytest.mark.parametrize(
    "listeners",
    [
        [REPLICA, REPLICA],
        [REPLICA, replace(REPLICA, port=PORT + 1, present_percent=50.0)],
        [REPLICA, replace(REPLICA, own=False, port=PORT + 1)],
        [],
    ],
)
def test_each_port_has_one_listener_all_the_time(listeners: list[Listener]) -> None:
    assert not listened(*listeners).passed


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (0, None),
        (3, "3 other HTTP requests came to HAProxy"),
        (-1, "HAProxy had 1 fewer requests than are recorded"),
    ],
)
def test_haproxy_counts_its_requests_itself(more: int, problem: str | None) -> None:
    counted = record(**{HAPROXY_VARIABLE: "1"})
    after = (counted.graph.proxy_served_before or 0) + len(counted.requests) + more
    counted = counted.with_graph(proxy_served_after=after)
    *_, rule = served.judge(counted.load_report, counted.graph, counted.requests)
    assert rule.passed == (problem is None)
    assert problem is None or problem in rule.observed


def missing(known: Record) -> list[str]:
    return [
        text
        for text in completeness._of_counts(known.config, known.graph, known.requests)
        if "HTTP requests" in text
    ]


@pytest.mark.parametrize("name", [DIRECT_VARIABLE, OPTIMIZED_VARIABLE])
def test_no_proxy_is_asked_with_direct_ingress(name: str) -> None:
    assert missing(record(**{name: "1"})) == []


def test_a_count_that_is_not_there_is_missing() -> None:
    assert missing(record()) == ["the number of HTTP requests to Serve's proxy"]
    of_haproxy = record(**{HAPROXY_VARIABLE: "1"})
    assert missing(of_haproxy) == ["the number of HTTP requests to HAProxy"]
    assert missing(of_haproxy.with_graph(proxy_served_after=9)) == []
