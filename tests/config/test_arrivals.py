"""Arrivals are planned: their rate, their limits, the same for all arms of a block, and traces as they
were."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.config.arrivals import due_times_s, problems, read_trace
from vbench.config.schema import LoadConfig

RATES = st.floats(0.1, 100)


def load(name: str, **changes: object) -> LoadConfig:
    return replace(LoadConfig(name=name, requests=100_000, duration_s=20), **changes)


@given(rate=RATES)
def test_constant_arrivals_are_even(rate: float) -> None:
    times = due_times_s(load("constant", rate=rate), 0)
    assert times == pytest.approx([number / rate for number in range(len(times))])
    assert times[-1] < 20 <= len(times) / rate + 1e-6


@given(first=RATES, last=RATES)
def test_a_ramp_brings_the_mean_rate_times_its_length(first: float, last: float) -> None:
    times = due_times_s(load("ramp", rate=first, rate_end=last), 0)
    assert times[0] == 0
    assert times == sorted(times)
    assert abs(len(times) - (first + last) / 2 * 20) <= 1.001
    half = sum(at_s < 10 for at_s in times)
    assert abs(half - (first + (last - first) / 4) * 10) <= 1.001


@given(seed=st.integers(0, 1000), block=st.integers(0, 10))
def test_random_arrivals_depend_on_seed_and_block_alone(seed: int, block: int) -> None:
    one = load("poisson", rate=3.0, seed=seed)
    assert due_times_s(one, block) == due_times_s(replace(one, concurrency=9, timeout_s=5), block)
    assert due_times_s(one, block) != due_times_s(one, block + 1)
    assert due_times_s(one, block) != due_times_s(replace(one, seed=seed + 1), block)


def test_random_gaps_are_exponential() -> None:
    from scipy import stats

    times = due_times_s(load("poisson", rate=50.0, duration_s=1000), 0)
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == pytest.approx(50_000, rel=0.02)
    assert stats.kstest(gaps, stats.expon(scale=1 / 50).cdf).pvalue > 0.001


def test_the_number_of_requests_is_a_limit_too() -> None:
    assert len(due_times_s(load("constant", rate=10.0, requests=7), 0)) == 7


def trace(folder: Path, *lines: object) -> LoadConfig:
    path = folder / "trace.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return load("trace", trace=str(path))


def test_a_trace_is_replayed_at_its_speed(tmp_path: Path) -> None:
    asked = trace(tmp_path, {"at_s": 0.5, "path": "/a"}, "", {"at_s": 0.5}, {"at_s": 8})
    assert due_times_s(asked, 0) == [0, 0, 7.5]
    assert due_times_s(replace(asked, speed=2), 0) == [0, 0, 3.75]
    assert due_times_s(replace(asked, duration_s=4), 0) == [0, 0]
    assert [(line.number, line.request) for line in read_trace(asked)] == [
        (1, {"path": "/a"}),
        (3, {}),
        (4, {}),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [{"at_s": 2}, {"at_s": 1}],
            "line 2 of load.trace={} is due at 1 s, before line 1 (2 s): sort the lines",
        ),
        ([{"at_s": 2}, "{"], "line 2 of load.trace={} is no JSON"),
        ([{"at": 2}], "line 1 of load.trace={} has no at_s"),
        ([{"at_s": -1}], "line 1 of load.trace={}: at_s -1 must be seconds"),
        ([{"at_s": True}], "line 1 of load.trace={}: at_s true must be seconds"),
        ([{"at_s": float("nan")}], "line 1 of load.trace={}: at_s NaN must be seconds"),
        ([[1]], "line 1 of load.trace={} has no at_s"),
        ([], "load.trace={} has no request"),
    ],
)
def test_a_bad_trace_is_refused_with_its_line(tmp_path: Path, lines: list[object], said: str) -> None:
    asked = trace(tmp_path, *lines)
    (problem,) = problems(asked)
    assert problem.startswith(said.format(asked.trace))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (load("poisson"), "load=poisson needs requests per second: load.rate=10."),
        (load("poisson", rate=0.0), "load.rate=0 must be above 0 and at most 10,000 requests/s."),
        (load("poisson", rate=float("nan")), "load.rate=nan must be above 0 and at most 10,000 requests/s."),
        (load("constant", rate=-1.0), "load.rate=-1 must be above 0 and at most 10,000 requests/s."),
        (load("ramp", rate=1.0), "load=ramp needs requests per second: load.rate_end=10."),
        (load("constant", rate=1.0, duration_s=0), "load.duration_s=0 must be above 0 and at most 86,400 s."),
        (load("trace"), "load=trace needs a file of arrivals: load.trace=FILE.jsonl."),
        (load("trace", trace="t", speed=0), "load.speed=0 must be above 0: 2 replays a trace twice as fast."),
        (load("trace", trace="none"), "load.trace=none cannot be read: No such file or directory."),
        (load("closed", rate=2.0), "load.rate=2.0 does not go with load=closed, which sends a request when"),
    ],
)
def test_a_load_that_cannot_be_planned_is_refused(asked: LoadConfig, said: str) -> None:
    (problem,) = problems(asked)
    assert problem.startswith(said)


def test_one_request_is_due_however_low_the_rate() -> None:
    assert due_times_s(load("poisson", rate=1e-9, duration_s=1), 0) == [0]
