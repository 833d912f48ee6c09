"""The links of an emulated cluster carry what the configuration says: measured, with real hosts and TCP."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lab import LOOK_S, Seen, checked, host, transfers
from tests.support.records import config
from vbench.clusters.emulated import link_check, topology
from vbench.record.network import LinkCheck
from vbench.telemetry.link_idle import IDLE_S, POLL_S

TOLERANCE = 0.10

ROUNDS = 3
"""Of less than a second each: a loss takes TCP a part of it to mend, and a receiver that the machine has kept
waiting finds more than came meanwhile. The middle one of them counts."""

COUNTERS = ("out_backlog_bytes", "out_waits", "out_dropped", "in_backlog_bytes", "in_waits", "in_dropped")

A, B = (host(name, number, flow_mbps=10, nic_mbps=25) for number, name in enumerate("ab", start=1))
C = host("c", 3, flow_mbps=10, nic_mbps=25)

EMULATED = config("cluster=emulated").cluster


@pytest.mark.parametrize("flows", [1, 2, 3, 8])
@pytest.mark.slow
def test_flows_reach_their_caps_together_but_no_more_than_the_nic(tmp_path: Path, flows: int) -> None:
    rounds = transfers(tmp_path, [A, B], [[("a", "b", flows)]] * ROUNDS)
    seen = middle(rounds, "b", mbps=min(10 * flows, 25))
    assert link_check.link_problem(checked(A, B, flows, seen)) is None


@pytest.mark.slow
def test_what_a_host_receives_from_two_is_held_to_its_nic(tmp_path: Path) -> None:
    """Each sender stays below its own cap, both together would be 160."""
    hosts = [host(name, number, flow_mbps=40, nic_mbps=100) for number, name in enumerate("abc", start=1)]
    plan = [[("a", "c", 2), ("b", "c", 2)]] * ROUNDS + [[("c", "a", 2)]] * ROUNDS
    rounds = transfers(tmp_path, hosts, plan)
    there, back = rounds[:ROUNDS], rounds[ROUNDS:]
    middle(there, "c", mbps=100)
    middle(back, "a", mbps=80)
    for seen in there:
        assert seen.during[-1]["c"].in_waits > seen.before[0]["c"].in_waits
        assert any(look["c"].in_backlog_bytes > 0 for look in seen.during)


@pytest.mark.slow
def test_both_directions_of_a_link_have_the_whole_rate(tmp_path: Path) -> None:
    rounds = transfers(tmp_path, [A, B], [[("a", "b", 3), ("b", "a", 3)]] * ROUNDS)
    # Each direction carries the other's acknowledgements too.
    for name in ("a", "b"):
        middle(rounds, name, mbps=25)


@pytest.mark.slow
def test_no_two_connections_share_a_cap(tmp_path: Path) -> None:
    hosts = [host(name, number, flow_mbps=5, nic_mbps=200) for number, name in enumerate("ab", start=1)]
    rounds = transfers(tmp_path, hosts, [[("a", "b", 20)]] * ROUNDS)
    middle(rounds, "b", mbps=100)
    earlier: dict[int, int] = {}
    for seen in rounds:
        used = data_classes_used(seen, "a")
        carried = [count for handle, count in used.items() if handle not in earlier]
        assert len(carried) == 20, "each connection has a class of its own, also those of later"
        # Of one flow each: what two had carried would be twice as much.
        assert max(carried) < 1.7 * min(carried)
        earlier = used


def middle(rounds: Sequence[Seen], receiver: str, *, mbps: float) -> Seen:
    """The round in which the receiver got neither most nor least: this rate, and nearly so in each."""
    by_rate = sorted(rounds, key=lambda seen: seen.mbps[receiver])
    rates = [seen.mbps[receiver] for seen in by_rate]
    assert rates[len(rates) // 2] == pytest.approx(mbps, rel=TOLERANCE)
    assert all(rate == pytest.approx(mbps, rel=2 * TOLERANCE) for rate in rates), rates
    return by_rate[len(rates) // 2]


def data_classes_used(seen: Seen, name: str) -> dict[int, int]:
    from vbench.clusters.emulated.shaping import FIRST_DATA

    last = FIRST_DATA + topology.DATA_CLASSES
    return {
        handle: count
        for handle, count in seen.classes_bytes[name].items()
        if FIRST_DATA <= handle < last and count
    }


@pytest.mark.slow
def test_queues_are_still_when_nothing_is_sent_and_grow_while_a_flow_is_held(tmp_path: Path) -> None:
    (seen,) = transfers(tmp_path, [A, B], [[("a", "b", 1)]])
    for look in seen.before:
        for name, found in look.items():
            assert (found.out_mbps, found.in_mbps) == (25, 25), name
            assert (found.flow_least_mbps, found.flow_most_mbps) == (10, 10)
            assert found.flow_classes == topology.DATA_CLASSES + topology.OTHER_CLASSES
            assert [getattr(found, counter) for counter in COUNTERS] == [0] * len(COUNTERS)
    assert any(look["a"].out_backlog_bytes > 0 for look in seen.during)
    waits = [look["a"].out_waits for look in seen.during]
    assert waits == sorted(waits)
    assert waits[-1] > waits[0] >= 0
    # One flow of 10 Mbit/s is held by its sender; the receiver's NIC takes 25.
    assert all(look["b"].out_backlog_bytes < 10_000 for look in seen.during)
    assert seen.during[-1]["b"].in_dropped == 0


@pytest.mark.slow
def test_links_are_not_idle_before_the_last_byte_has_come(tmp_path: Path) -> None:
    (seen,) = transfers(tmp_path, [A, B], [[("a", "b", 1)]], idle_within_s=30)
    assert seen.idle is not None
    took_s = link_check.SETTLE_S + link_check.MEASURE_S - POLL_S - LOOK_S
    assert seen.idle.after_s >= took_s + IDLE_S
    # 10 Mbit/s, from b acknowledgements alone.
    assert seen.idle.sent_bytes["a"] > 0.5 * took_s * 1.25e6 > 5 * seen.idle.sent_bytes["b"]


@pytest.mark.slow
def test_links_that_do_not_become_idle_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"the links were still busy 0\.3 s after"):
        transfers(tmp_path, [A, B], [[("a", "b", 1)]], idle_within_s=0.3)


@pytest.mark.parametrize(
    "name", Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
)
@pytest.mark.slow
def test_connections_have_the_congestion_control_asked_for(tmp_path: Path, name: str) -> None:
    (seen,) = transfers(tmp_path, [A, B], [[("a", "b", 1), ("b", "a", 1)]], congestion=name)
    assert seen.congestion == {"a": name, "b": name}


@pytest.mark.slow
def test_a_link_that_is_shaped_otherwise_is_found(tmp_path: Path) -> None:
    slow = host("a", 1, flow_mbps=8, nic_mbps=25)
    (seen,) = transfers(tmp_path, [slow, B], [[("a", "b", 1)]])
    said = link_check.link_problem(checked(A, B, 1, seen))
    assert said is not None
    assert said.startswith("the link a -> b carried ")
    assert " over 1 connections instead of 10.0; " in said


@pytest.mark.parametrize(
    ("measured", "passed"), [(0.0, False), (89.0, False), (91.0, True), (109.0, True), (111.0, False)]
)
def test_a_tenth_off_is_too_much(measured: float, passed: bool) -> None:
    check = LinkCheck(sender="a", receiver="b", flows=4, expected_mbps=100, measured_mbps=measured)
    assert (link_check.link_problem(check) is None) == passed


def test_every_link_is_checked_both_ways() -> None:
    ring = link_check.pairs([A, B, C])
    assert sorted(sender.name for sender, _ in ring) == ["a", "b", "c"]
    assert sorted(receiver.name for _, receiver in ring) == ["a", "b", "c"]
    assert all(sender != receiver for sender, receiver in ring)


def test_as_many_flows_are_checked_as_fill_the_narrower_nic() -> None:
    narrow = host("n", 4, flow_mbps=10, nic_mbps=11)
    assert link_check.flows_to_fill(A, B) == 3
    assert (link_check.flows_to_fill(A, narrow), link_check.flows_to_fill(narrow, A)) == (2, 2)
    assert link_check.expected_mbps(A, narrow, 2) == 11


def test_transfers_that_fill_a_nic_are_checked_apart_from_others_of_its_hosts() -> None:
    hosts = [host(str(number), number, flow_mbps=10, nic_mbps=25) for number in range(1, 6)]
    ring = link_check.pairs(hosts)
    single = link_check.rounds([(sender, receiver, 1) for sender, receiver in ring])
    full = link_check.rounds([(sender, receiver, 3) for sender, receiver in ring])
    assert (len(single), len(full)) == (1, 3)
    for together in full:
        names = [name for sender, receiver, _ in together for name in (sender.name, receiver.name)]
        assert len(set(names)) == len(names)
    checked = {(sender.name, receiver.name) for together in full for sender, receiver, _ in together}
    assert checked == {(sender.name, receiver.name) for sender, receiver in ring}


def test_no_more_is_checked_at_a_time_than_a_machine_can_move() -> None:
    hosts = [host(str(number), number, flow_mbps=1000, nic_mbps=2500) for number in range(1, 6)]
    single = link_check.rounds([(sender, receiver, 1) for sender, receiver in link_check.pairs(hosts)])
    assert [len(together) for together in single] == [2, 2, 1]


@given(scale=st.floats(1, 1000))
def test_every_rate_of_the_cloud_is_divided_by_the_scale(scale: float) -> None:
    cluster = replace(EMULATED, scale=scale)
    assert cluster.flow_mbps is not None
    planned = topology.hosts(cluster)
    assert [one.name for one in planned] == list(cluster.nodes)
    assert len({one.ip for one in planned}) == len(planned)
    for one in planned:
        node = cluster.nodes[one.name]
        assert node.nic_mbps is not None
        assert one.nic_mbps * scale == pytest.approx(node.nic_mbps)
        assert one.flow_mbps * scale == pytest.approx(cluster.flow_mbps)
        assert one.shm_mb > node.object_store_mb


def test_what_init_is_told_comes_whole() -> None:
    cluster = EMULATED
    commands = {name: ("ray", "start", name) for name in cluster.nodes}
    spec = topology.Spec(
        folder="/tmp/x",
        hosts=topology.hosts(cluster, commands),
        scale=cluster.scale,
        congestion_control="cubic",
        timeout_s=9,
    )
    assert topology.Spec.from_json(spec.to_json()) == spec


def test_a_nic_wider_than_all_others_is_filled_by_several() -> None:
    wide, one, other, narrow = (
        host(name, number, flow_mbps=10, nic_mbps=nic)
        for number, (name, nic) in enumerate([("wide", 50), ("one", 25), ("other", 25), ("narrow", 5)], 1)
    )
    found = link_check.fan_in([narrow, one, wide, other])
    assert found is not None
    assert (found[0], found[1]) == (wide, [one, other])
    assert link_check.fan_in([one, other, narrow]) is None
