"""The caps of links over time, where events changed them."""

from dataclasses import asdict, replace

import pytest

from tests.support import records
from vbench.record.link_caps import LinkCaps
from vbench.record.link_use import link_use, peak_of_cap, sample_intervals
from vbench.record.network import LinkEvent, read_network

NETWORK = replace(
    records.network("a", "b", nic_mbps=100),
    events=[
        LinkEvent(node="a", at_s=10, nic_mbps=50, flow_mbps=None, began_s=110, ended_s=110.5),
        LinkEvent(node="a", at_s=20, nic_mbps=None, flow_mbps=5, began_s=120, ended_s=120.5),
        LinkEvent(node="b", at_s=99, nic_mbps=1, flow_mbps=None),
    ],
)
CAPS = LinkCaps.of(NETWORK)
FLOW = NETWORK.links[0].flow_mbps


def test_the_links_in_force_are_those_before_and_after_each_change() -> None:
    def nics(from_s: float, to_s: float) -> list[float]:
        return [link.nic_mbps for link in CAPS.during("a", from_s, to_s)]

    assert nics(100, 109) == [100]
    assert nics(109, 110.2) == nics(110.2, 110.2) == [100, 50]
    assert nics(111, 119) == [50]
    assert [link.flow_mbps for link in CAPS.during("a", 0, 200)] == [FLOW, FLOW, 5]
    assert CAPS.during("b", 0, 200) == [NETWORK.links[1]], "an event that never took place changes nothing"


def test_a_mean_counts_the_higher_rate_while_a_change_took_place() -> None:
    assert CAPS.mean("a", 100, 105) == NETWORK.links[0]
    assert CAPS.mean("a", 109.5, 111.5).nic_mbps == pytest.approx((1 * 100 + 1 * 50) / 2)
    assert CAPS.mean("a", 130, 140).flow_mbps == 5
    assert (CAPS.highest("a").nic_mbps, CAPS.lowest("a").nic_mbps) == (100, 50)
    assert (CAPS.highest("a").flow_mbps, CAPS.lowest("a").flow_mbps) == (FLOW, 5)


def test_a_rate_is_compared_with_the_cap_of_its_own_time() -> None:
    nbytes, samples = 0, []
    for second in range(100, 130):
        samples.append(records.sample(float(second), node="a", nic_sent_bytes=nbytes))
        nbytes += int((100 if second < 110 else 50) / 8e-6)
    intervals = sample_intervals(samples)
    rate_mbps, cap_mbps = peak_of_cap(intervals, "a", CAPS)
    assert rate_mbps / cap_mbps == pytest.approx(1.0, abs=0.01)
    assert link_use(intervals, NETWORK.links[0], CAPS).percent == pytest.approx(100, abs=2)
    assert link_use(intervals, NETWORK.links[0]).percent < 70


def test_a_network_with_events_is_read_as_it_was_written() -> None:
    assert read_network(asdict(NETWORK)) == NETWORK
    earlier = asdict(replace(NETWORK, events=[]))
    del earlier["events"]
    assert read_network(earlier).events == []
