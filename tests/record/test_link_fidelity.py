"""An emulated trial is faithful when its links, and not the machine, were what its transfers waited for."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from vbench.record.link_fidelity import (
    cpu_saturated_percent,
    cpu_while_moving_percent,
    link_fidelity,
    metrics,
    shaped_percent,
)
from vbench.record.link_use import sample_intervals
from vbench.record.measurements import Measurements
from vbench.record.network import LinkCheck, LinkSample
from vbench.record.requests import SpanLine
from vbench.record.samples import MachineSample, NodeSample
from vbench.validity import links_set_the_pace

NAMES = ("decode", "gpu", "head")
NETWORK = records.network(*NAMES)
MB = 1_000_000


def trial(
    seconds: int = 4, *, sent: int = 5 * MB, waits: int = 10, queued: int = 1000, **changes: int
) -> list[NodeSample]:
    """``decode`` sends to ``gpu`` at a constant rate, with so many bytes waiting; ``changes`` are of decode's
    queues, a second."""
    samples = []
    for at in range(seconds + 1):
        counts = {name: value * at for name, value in changes.items()}
        out = records.queues(out_waits=waits * at, out_backlog_bytes=queued, **counts)
        queues: dict[str, LinkSample] = {"decode": out, "gpu": records.queues(), "head": records.queues()}
        bytes_ = {"decode": (sent * at, 0), "gpu": (0, sent * at), "head": (0, 0)}
        samples += [
            records.sample(
                100.0 + at,
                node=name,
                nic_sent_bytes=bytes_[name][0],
                nic_received_bytes=bytes_[name][1],
                link=queues[name],
            )
            for name in NAMES
        ]
    return samples


def machines(idle: float = 0.6) -> list[MachineSample]:
    return [records.machine(100.0 + at, cpu_idle_s=idle * at) for at in range(5)]


def moved(nbytes: int) -> list[SpanLine]:
    """The spans of a request whose frames, so many bytes, went from ``decode`` to ``gpu``."""
    return [
        records.span("decode", "compute", node="decode"),
        records.span("infer", "transfer", nbytes=nbytes, node="gpu"),
    ]


def broken(**changes: Any) -> list[str]:
    parts: dict[str, Any] = {
        "network": NETWORK,
        "nodes": trial(),
        "machines": machines(),
        "spans": moved(19 * MB),
    }
    measured = Measurements(**(parts | changes))
    assert measured.network is not None
    rules = list(links_set_the_pace.judge(records.config(), measured.network, measured))
    assert all(rule.observed and rule.remedy for rule in rules)
    return [rule.name for rule in rules if not rule.passed]


CPU = "transfers did not wait for the machine's CPUs"
LINKS = "transfers waited for the shaped links"
CROSSED = "all transfers went over the shaped links"
CAPPED = "no link carried more than its cap"
CHECKS = "the links had their rates before the trial"


def test_a_faithful_trial_keeps_all_rules() -> None:
    assert broken() == []


def test_cpus_without_idle_time_while_bytes_moved_break_the_rule() -> None:
    assert broken(machines=machines(idle=0.2)) == [CPU]
    assert broken(machines=[]) == [CPU]


def test_idle_time_counts_only_while_bytes_moved() -> None:
    samples = [records.machine(at, cpu_idle_s=idle) for at, idle in ((90.0, 0), (100.0, 20.0))]
    busy = [records.machine(100.0 + at, cpu_idle_s=20.0 + 0.1 * at) for at in (2, 4)]
    percent = cpu_while_moving_percent(sample_intervals(trial()), NETWORK.links, [*samples, *busy])
    assert percent == pytest.approx(95.0)


def test_samples_of_the_machine_count_by_the_time_they_share_with_moving_bytes() -> None:
    half = [records.machine(98.0, cpu_idle_s=0), records.machine(102.0, cpu_idle_s=8.0)]
    rest = records.machine(104.0, cpu_idle_s=8.0)
    percent = cpu_while_moving_percent(sample_intervals(trial()), NETWORK.links, [*half, rest])
    assert percent == pytest.approx((2 * 0 + 2 * 100) / 4)


def test_bytes_that_waited_in_no_queue_break_the_rule() -> None:
    # The shaper's counter of waits grows with any burst: it proves nothing.
    assert broken(nodes=trial(queued=0)) == [LINKS]
    assert broken(nodes=trial(waits=0)) == []


def test_cpus_that_were_used_up_for_most_bytes_break_the_rule_though_the_mean_is_low() -> None:
    idle_s = [0.0, 0.05, 0.1, 0.15, 2.1]
    samples = [records.machine(100.0 + at, cpu_idle_s=idle) for at, idle in enumerate(idle_s)]
    mean = cpu_while_moving_percent(sample_intervals(trial()), NETWORK.links, samples)
    assert mean is not None
    assert mean < 85
    saturated = cpu_saturated_percent(sample_intervals(trial()), NETWORK.links, samples)
    assert saturated == pytest.approx(75)
    assert broken(machines=samples) == [CPU]


@pytest.mark.parametrize(("waits_at", "percent"), [("gpu", 100), ("head", 0)])
def test_the_receivers_link_counts_as_well(waits_at: str, percent: float) -> None:
    """What is received goes to ``gpu``."""
    nodes = [
        replace(s, link=records.queues(in_waits=int(s.at_s))) if s.node == waits_at else s
        for s in trial(waits=0, queued=0)
    ]
    assert shaped_percent(sample_intervals(nodes), NETWORK.links) == pytest.approx(percent)


def test_a_trial_in_which_nothing_moved_proves_nothing() -> None:
    assert broken(nodes=trial(sent=1000), spans=[]) == [CROSSED, CPU, LINKS]
    assert broken(nodes=[]) == [CROSSED, CPU, LINKS]


def test_bytes_that_took_another_way_break_the_rule() -> None:
    assert broken(spans=moved(21 * MB)) == [CROSSED]


@pytest.mark.parametrize(("measured", "passed"), [(18.1, True), (17.9, False), (22.1, False)])
def test_a_link_that_was_off_before_the_trial_breaks_the_rule(measured: float, passed: bool) -> None:
    check = LinkCheck(sender="decode", receiver="gpu", flows=1, expected_mbps=20.0, measured_mbps=measured)
    network = records.network(*NAMES, checks=[*NETWORK.checks, check])
    assert broken(network=network) == ([] if passed else [CHECKS])


def test_links_that_were_not_checked_break_the_rule() -> None:
    assert broken(network=records.network(*NAMES, checks=[])) == [CHECKS]


@pytest.mark.parametrize(("mbps", "wrong"), [(80, []), (87, []), (89, [CAPPED])])
def test_a_link_that_carries_more_than_its_cap_breaks_the_rule(mbps: float, wrong: list[str]) -> None:
    assert broken(nodes=trial(sent=int(mbps / 8 * MB))) == wrong


def test_what_nodes_say_to_each_other_all_the_time_is_not_taken_for_moving_bytes() -> None:
    """On slow links it is more than a share of their cap."""
    slow = records.network(*NAMES, nic_mbps=20.0)
    nodes = [
        replace(s, nic_sent_bytes=int(s.nic_sent_bytes + 0.32 * MB * (s.at_s - 100)))
        if s.node == "head"
        else s
        for s in trial(sent=2 * MB)
    ]
    found = metrics(link_fidelity(slow, nodes, machines()))
    assert "link_rate_mbps.head" not in found
    assert "link_rate_mbps.gpu" in found


def test_rates_are_reported_for_each_link_that_carried_something() -> None:
    found = metrics(link_fidelity(NETWORK, trial(out_dropped=2), machines()))
    assert found["link_rate_mbps.decode"] == pytest.approx(40.0)
    assert found["link_use_percent.gpu"] == pytest.approx(50.0)
    assert "link_rate_mbps.head" not in found
    assert found["link_dropped_packets"] == 8
    assert found["link_held_percent"] == pytest.approx(100)
    assert found["link_queued_percent"] == pytest.approx(100)
    assert found["cpu_saturated_percent"] == 0
    assert found["cpu_while_moving_percent"] == pytest.approx(70)
