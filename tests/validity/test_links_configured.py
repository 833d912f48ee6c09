"""Emulated links other than configured, and connections that carried nothing, break a rule."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from vbench.clusters.emulated import topology
from vbench.config.schema import ClusterConfig
from vbench.record.load_report import Connections
from vbench.record.network import LinkEvent, Network
from vbench.record.samples import NodeSample
from vbench.validity.links_configured import judge

CONFIG = records.config("cluster=emulated")
LINKS = [host.link for host in topology.hosts(CONFIG.cluster)]
NETWORK = replace(
    records.network("head"), links=LINKS, scale=CONFIG.cluster.scale, congestion_control="cubic"
)
CONFIGURED, CARRIED = "the links are those of the configuration", "all connections carried frames"


def broken(network: Network, found: int = 4, *sent_bytes: int) -> set[str]:
    """Names of broken rules, where as many connections were found, and flows sent so much."""
    pair = Connections(
        sender="decode", receiver="gpu", expected=found, established=found, moved_bytes=400 * 2**20
    )
    flows: dict[str, Any] = {str(11000 + port): (sent, 9000) for port, sent in enumerate(sent_bytes)}
    samples: list[NodeSample] = [
        records.sample(100.0, node="decode", link=replace(records.queues(), flows=flows))
    ]
    rules = judge(CONFIG, records.load_report(connections=[pair]), network, samples)
    return {rule.name for rule in rules if not rule.passed}


def test_links_as_configured_hold() -> None:
    assert broken(NETWORK) == set()


@pytest.mark.parametrize("change", [{"nic_mbps": 1.0}, {"flow_mbps": 200.0}, {"node": "another"}])
def test_another_link_breaks_the_rule(change: dict[str, Any]) -> None:
    assert broken(replace(NETWORK, links=[*LINKS[:-1], replace(LINKS[-1], **change)])) == {CONFIGURED}


def test_a_plan_at_half_the_scale_breaks_the_rule_in_each_of_its_facts() -> None:
    half = [replace(one, nic_mbps=2 * one.nic_mbps, flow_mbps=2 * one.flow_mbps) for one in LINKS]
    scale = CONFIG.cluster.scale
    assert broken(replace(NETWORK, links=half)) == {CONFIGURED}
    assert broken(replace(NETWORK, scale=scale / 2)) == {CONFIGURED}
    assert broken(replace(NETWORK, congestion_control="bbr")) == {CONFIGURED}


def test_the_rates_are_not_taken_from_the_plan_that_made_the_links(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = topology.hosts

    def halved(config: ClusterConfig, *rest: Any) -> Any:
        return honest(replace(config, scale=config.scale / 2), *rest)

    monkeypatch.setattr(topology, "hosts", halved)
    links = [host.link for host in topology.hosts(CONFIG.cluster)]
    assert broken(replace(NETWORK, links=links)) == {CONFIGURED}


def test_a_link_that_is_missing_breaks_the_rule() -> None:
    assert broken(replace(NETWORK, links=LINKS[1:])) == {CONFIGURED}


def test_connections_that_share_the_work_hold() -> None:
    assert broken(NETWORK, 4, *[100 * 2**20] * 4, 5000) == set()


def test_one_connection_that_carries_all_breaks_the_rule() -> None:
    assert broken(NETWORK, 4, 400 * 2**20, 1000, 1000, 1000) == {CARRIED}


EVENTS = "the links changed as planned"
WITH_EVENT = records.config("cluster=emulated", "cluster.events=[{at_s: 20, node: decode, nic_mbps: 5000}]")
TOOK_PLACE = LinkEvent(
    node="decode", at_s=20.0, nic_mbps=50.0, flow_mbps=None, in_force_s=20.3, began_s=500.0, ended_s=500.3
)


def problem(*events: LinkEvent, measured_s: float = 60.0) -> str | None:
    """What the rule on events says if it is broken."""
    report = records.load_report(phases_s={"measure": measured_s})
    rules = judge(WITH_EVENT, report, replace(NETWORK, events=list(events)), [])
    (rule,) = [rule for rule in rules if rule.name == EVENTS]
    return None if rule.passed else rule.observed


def test_events_that_took_place_as_configured_hold() -> None:
    assert problem(TOOK_PLACE) is None
    assert EVENTS not in {rule.name for rule in judge(CONFIG, records.load_report(), NETWORK, [])}


def test_events_otherwise_than_configured_break_the_rule() -> None:
    assert problem() == "1 events were configured, and 0 are recorded"
    for change in ({"nic_mbps": 40.0}, {"node": "gpu"}, {"at_s": 10.0}, {"flow_mbps": 20.0}):
        changed: dict[str, Any] = {**change}
        expected = "the event at 20 s on decode is recorded otherwise than it was configured"
        assert problem(replace(TOOK_PLACE, **changed)) == expected
    late = replace(TOOK_PLACE, in_force_s=21.4)
    assert problem(late) == "the event at 20 s on decode was in force after 21.40 s"
    never = replace(TOOK_PLACE, in_force_s=None)
    for event, measured_s in ((never, 60.0), (TOOK_PLACE, 15.0)):
        found = problem(event, measured_s=measured_s)
        assert (
            found == f"the event at 20 s on decode was not reached: requests were measured for {measured_s} s"
        )


def test_links_that_change_without_being_asked_to_break_the_rule() -> None:
    rules = judge(CONFIG, records.load_report(), replace(NETWORK, events=[TOOK_PLACE]), [])
    assert EVENTS in {rule.name for rule in rules if not rule.passed}
