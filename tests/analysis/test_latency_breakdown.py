"""Each moment of a request is counted once, for what was done for it then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import records
from vbench.analysis.latency_breakdown import PARTS, latency_breakdown
from vbench.record.requests import SpanLine

DUE_S = 1.7e9 - 0.001
"""When the request of ``records`` was due; it takes 2 s."""


def span(stage: str, kind: str, start_s: float, end_s: float, chunk: int = 0) -> SpanLine:
    return records.span(stage, kind, chunk=chunk, start_s=DUE_S + start_s, end_s=DUE_S + end_s)


def went(*spans: SpanLine) -> dict[str, float]:
    found = latency_breakdown([records.request()], spans)
    return {part: round(seconds, 4) for part, seconds in found.items() if seconds > 1e-4}


def test_time_without_a_span_is_other() -> None:
    assert went(span("decode", "compute", 0.5, 1.5)) == {"decode compute": 1.0, "other": 1.0}


def test_work_side_by_side_shares_its_time() -> None:
    spans = (span("decode", "compute", 0, 2), span("infer", "transfer", 1, 2, chunk=1))
    assert went(*spans) == {"decode compute": 1.5, "infer transfer": 0.5}


def test_many_chunks_at_the_same_work_count_as_one() -> None:
    spans = [span("decode", "compute", 0, 2, chunk=i) for i in range(5)]
    assert went(*spans, span("infer", "compute", 0, 2)) == {"decode compute": 1.0, "infer compute": 1.0}


def test_waiting_counts_only_where_nothing_is_done() -> None:
    spans = (span("decode", "queue", 0, 2), span("decode", "compute", 0.5, 1, chunk=1))
    assert went(*spans) == {"decode queue": 1.5, "decode compute": 0.5}


def test_waiting_counts_for_the_stage_furthest_down() -> None:
    spans = (span("chunk", "queue", 0, 2), span("infer", "queue", 0, 1, chunk=1))
    assert went(*spans) == {"infer queue": 1.0, "chunk queue": 1.0}


def test_what_lies_outside_of_the_request_is_cut_off() -> None:
    assert went(span("decode", "compute", -5, 1), span("infer", "compute", 1.5, 9)) == {
        "decode compute": 1.0,
        "infer compute": 0.5,
        "other": 0.5,
    }


SPANS = st.lists(
    st.tuples(
        st.sampled_from(["chunk", "decode", "infer"]),
        st.sampled_from(["queue", "transfer", "compute"]),
        st.floats(-1, 3),
        st.floats(-1, 3),
    ),
    max_size=15,
)


@given(SPANS)
def test_parts_always_sum_to_the_latency(drawn: list[tuple[str, str, float, float]]) -> None:
    found = latency_breakdown([records.request()], [span(*each) for each in drawn])
    assert set(found) == set(PARTS)
    assert sum(found.values()) == pytest.approx(records.request().latency_s, abs=1e-6)
    assert all(seconds >= 0 for seconds in found.values())
