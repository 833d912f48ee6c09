"""Counters become bytes and rates, and what moved in an interval is told from what was only said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import records
from vbench.record.link_use import PEAK_S, is_moving, link_use, peak_mbps, sample_intervals
from vbench.record.network import Link

LINK = Link(node="a", nic_mbps=80.0, flow_mbps=20.0)
steps = st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 10**9)), min_size=1, max_size=20)


@given(steps)
def test_no_byte_is_lost_between_the_looks(steps: list[tuple[float, int]]) -> None:
    at_s, sent = 100.0, 7
    samples = [records.sample(at_s, node="a", nic_sent_bytes=sent, nic_received_bytes=2 * sent)]
    for passed_s, nbytes in steps:
        at_s, sent = at_s + passed_s, sent + nbytes
        samples.append(records.sample(at_s, node="a", nic_sent_bytes=sent, nic_received_bytes=2 * sent))
    each = sample_intervals(samples)
    assert sum(one["a"].sent_bytes for one in each) == sent - 7
    assert sum(one["a"].received_bytes for one in each) == 2 * (sent - 7)
    assert sum(one["a"].passed_s for one in each) == pytest.approx(at_s - 100)
    use = link_use(each, LINK)
    moved = sum(one["a"].received_bytes for one in each if is_moving(one["a"], LINK))
    assert use.rate_mbps * use.moving_s == pytest.approx(8e-6 * moved)


def test_a_rate_is_that_of_the_time_in_which_bytes_moved() -> None:
    samples = [
        records.sample(at, node="a", nic_sent_bytes=sent)
        for at, sent in ((0.0, 0), (1.0, 5_000_000), (9.0, 5_000_100), (10.0, 10_000_100))
    ]
    use = link_use(sample_intervals(samples), LINK)
    assert use.moving_s == pytest.approx(2.0)
    assert use.rate_mbps == pytest.approx(40.0)
    assert use.percent == pytest.approx(50.0)


def test_a_link_that_carried_nothing_has_no_rate() -> None:
    use = link_use(sample_intervals([records.sample(0.0, node="a"), records.sample(1.0, node="a")]), LINK)
    assert (use.moving_s, use.rate_mbps) == (0.0, 0.0)


def test_the_looks_at_several_nodes_make_one_round() -> None:
    samples = [records.sample(at, node=node, nic_sent_bytes=int(at)) for at in (1, 2, 4) for node in "ab"]
    each = sample_intervals(samples)
    assert [set(one) for one in each] == [{"a", "b"}] * 2
    assert [one["b"].sent_bytes for one in each] == [1, 2]


def test_waiting_is_seen_by_counters_and_by_backlogs() -> None:
    queues = [
        records.queues(),
        records.queues(out_waits=1),
        records.queues(out_waits=1, in_backlog_bytes=9),
        records.queues(out_waits=1, in_waits=2, in_dropped=3),
    ]
    each = sample_intervals(
        [records.sample(float(at), node="a", link=link) for at, link in enumerate(queues)]
    )
    assert [one["a"].out_held for one in each] == [True, False, False]
    assert [one["a"].in_held for one in each] == [False, True, True]
    assert [one["a"].in_backlog for one in each] == [False, True, True]
    assert link_use(each, LINK).dropped == 3


def test_a_peak_is_taken_over_two_seconds_or_more() -> None:
    counts = [0, 4, 4, 4, 5, 6, 6, 9]
    samples = [
        records.sample(float(at), node="a", nic_sent_bytes=count * 1_000_000)
        for at, count in enumerate(counts)
    ]
    each = sample_intervals(samples)
    assert peak_mbps(each, "a") == pytest.approx(16.0)
    assert peak_mbps(each[:1], "a") == pytest.approx(32.0), "all there is"
    assert peak_mbps(each, "b") == 0


@given(steps)
def test_no_peak_is_above_the_highest_rate_or_below_the_mean(steps: list[tuple[float, int]]) -> None:
    at_s, sent = 100.0, 0
    samples = [records.sample(at_s, node="a")]
    for passed_s, nbytes in steps:
        at_s, sent = at_s + passed_s, sent + nbytes
        samples.append(records.sample(at_s, node="a", nic_sent_bytes=sent))
    each = sample_intervals(samples)
    peak = peak_mbps(each, "a")
    assert peak <= max(one["a"].rate_mbps for one in each) * (1 + 1e-9)
    if at_s - 100.0 < PEAK_S:
        assert peak == pytest.approx(8e-6 * sent / (at_s - 100.0))


def test_one_look_is_no_interval() -> None:
    assert sample_intervals([records.sample(1.0, node="a")]) == []
    assert sample_intervals([]) == []
