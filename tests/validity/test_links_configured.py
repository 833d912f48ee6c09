"""Emulated links other than configured, and connections that carried nothing, break a rule."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import records
from vbench.clusters.emulated import topology
from vbench.config.schema import ClusterConfig
from vbench.record.load_report import Connections
from vbench.record.network import Network
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
