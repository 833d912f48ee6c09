"""The requests of an open load are those of its plan, and failures among them are a result."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.support import records
from vbench.config.arrivals import due_times_s
from vbench.record.measurements import Measurements
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity import answers, conservation

AS_PLANNED = "the requests are those of the planned arrivals"
CONFIG = records.config("load=poisson", "load.rate=4", "load.duration_s=5")


def planned() -> list[Request]:
    return [
        records.request(number, scheduled_s=7 + at_s, sent_s=7.001 + at_s, done_s=9 + at_s)
        for number, at_s in enumerate(due_times_s(CONFIG.load, CONFIG.block))
    ]


def judged(requests: Sequence[Request]) -> Rule:
    rules = conservation.judge(CONFIG, records.load_report(), Measurements(requests=requests))
    return next(rule for rule in rules if rule.name == AS_PLANNED)


def test_planned_requests_are_as_planned() -> None:
    requests = planned()
    assert len(requests) > 10
    assert judged(requests).passed
    assert judged(requests).observed == f"{len(requests)} requests, each due when it was planned"


def moved(requests: Sequence[Request], number: int, by_s: float) -> list[Request]:
    return [
        replace(one, scheduled_s=one.scheduled_s + by_s) if one.index == number else one for one in requests
    ]


def test_other_requests_are_not() -> None:
    requests = planned()
    slower = [replace(one, scheduled_s=7 + (one.scheduled_s - 7) * 0.9) for one in requests]
    for others, said in (
        (requests[:-1], f"{len(requests) - 1} requests are recorded, and {len(requests)} were planned"),
        ([*requests[:3], *requests[4:]], "request 3 is missing"),
        (moved(requests, 3, -0.01), "request 3 was due -0.010 s from its planned time"),
        (slower, "from its planned time"),
    ):
        rule = judged(others)
        assert not rule.passed
        assert said in rule.observed


def test_a_trace_that_is_gone_leaves_its_requests_unjudged(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at_s": 0}\n{"at_s": 1}\n')
    config = records.config("load=trace", f"load.trace={trace}")
    requests = [records.request(n, scheduled_s=n, sent_s=n + 0.1, done_s=n + 1) for n in range(2)]
    other = moved(requests, 1, -0.5)

    def passed(of: Sequence[Request]) -> bool:
        rules = conservation.judge(config, records.load_report(), Measurements(requests=of))
        return next(rule.passed for rule in rules if rule.name == AS_PLANNED)

    assert passed(requests)
    assert not passed(other)
    trace.unlink()
    assert passed(other)


def test_failures_are_a_result_unless_all_fail() -> None:
    requests = planned()
    failed = [replace(one, error="HTTP 503: full", status=503) for one in requests]

    def first(of: Sequence[Request]) -> Rule:
        return next(iter(answers.judge(CONFIG, of, replace(records.load_report(), unsent_requests=0))))

    some = first([*failed[:2], *requests[2:]])
    assert some.passed
    assert some.observed.startswith(
        f"{len(requests) - 2} of {len(requests)} answered; first failure: HTTP 503"
    )
    assert not first(failed).passed
