"""Links that somebody changed after they were checked, or sent over, break a rule that says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from tests.validity import parts
from vbench.clusters.emulated.topology import DATA_CLASSES, OTHER_CLASSES
from vbench.ray_internals.object_manager import PULL_TIMEOUT_S, PULL_TIMEOUT_VARIABLE
from vbench.record.measurements import Measurements
from vbench.record.network import LinkCheck, LinkSample
from vbench.record.requests import SpanLine
from vbench.record.samples import NodeSample
from vbench.record.trial import Rule
from vbench.validity.links_during import OVERHEAD, judge

NIC_MBPS, FLOW_MBPS = 80.0, 20.0
FLOW_BYTES = int(FLOW_MBPS / 8e-6)
"""That a flow at its cap sends in a second."""

SECONDS = 6
NEEDED = SECONDS * FLOW_BYTES

CHECK = LinkCheck(sender="decode", receiver="gpu", flows=1, expected_mbps=20, measured_mbps=19.5)
NETWORK = replace(records.network("decode", "gpu", nic_mbps=NIC_MBPS), checks_after=[CHECK])

RATES, FLOWS, NEAR, SENT, AFTER = (
    "the kernel kept the links' rates",
    "no flow carried more than its cap",
    "flows were near their cap while their queue was not empty",
    "nothing else used the links",
    "the links had their rates after the trial",
)


def shaper(**changes: Any) -> LinkSample:
    rates = {
        "out_mbps": NIC_MBPS,
        "in_mbps": NIC_MBPS,
        "flow_least_mbps": FLOW_MBPS,
        "flow_most_mbps": FLOW_MBPS,
        "flow_classes": DATA_CLASSES + OTHER_CLASSES,
    }
    return replace(records.queues(), **(rates | changes))


def samples(share: float = 1.0, extra: int = 0, **changes: Any) -> list[NodeSample]:
    """One flow from decode to gpu at its cap; ``share`` of it moves, and ``extra`` bytes a second beside
    it."""
    found = []
    for second in range(SECONDS + 1):
        moved = int(second * FLOW_BYTES * share) + second * extra
        flow = {"11000": (2_000_000 + int(second * FLOW_BYTES * share), 9000)}
        at_s = 100.0 + second
        found.append(
            records.sample(
                at_s + 0.3, node="decode", nic_sent_bytes=moved, link=shaper(flows=flow, at_s=at_s, **changes)
            )
        )
        found.append(records.sample(at_s, node="gpu", nic_received_bytes=moved, link=shaper()))
    return found


def spans(took_s: float = 1.0, nbytes: int = NEEDED) -> list[SpanLine]:
    return [
        records.span("chunk", "compute", node="decode", replica="service"),
        records.span("decode", "compute", node="decode"),
        records.span("infer", "transfer", took_s, nbytes, node="gpu"),
    ]


def rules(
    nodes: list[NodeSample] | None = None, network: Any = NETWORK, lines: Any = None, load_report: Any = None
) -> dict[str, Rule]:
    measured = Measurements(nodes=samples() if nodes is None else nodes, spans=lines or spans())
    judged = judge(parts.config(), load_report or parts.load_report(), network, measured)
    return {rule.name: rule for rule in judged}


def broken(**given: Any) -> list[str]:
    return [name for name, rule in rules(**given).items() if not rule.passed]


def test_links_that_stayed_as_they_were_keep_all_rules() -> None:
    assert list(rules()) == [RATES, FLOWS, NEAR, SENT, AFTER]
    assert broken() == []


def test_a_record_of_before_has_no_such_rules() -> None:
    assert rules(load_report=records.load_report()) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"out_mbps": 40.0}, "decode sends at up to 40 Mbit/s instead of 80"),
        ({"in_mbps": 40.0}, "decode receives at up to 40 Mbit/s instead of 80"),
        ({"flow_most_mbps": 80.0}, "decode has a flow class of 80 Mbit/s instead of 20"),
        ({"flow_least_mbps": 10.0}, "decode has a flow class of 10 Mbit/s instead of 20"),
        ({"out_mbps": None}, "decode: it has no shaper"),
        ({"flow_classes": 3}, "decode has 3 flow classes"),
    ],
)
def test_rates_that_the_kernel_has_no_more_are_named(changes: dict[str, Any], said: str) -> None:
    rule = rules(nodes=samples(**changes))[RATES]
    assert not rule.passed
    assert said in rule.observed
    assert "tc" in rule.remedy


def test_a_rate_that_was_changed_for_a_single_look_is_found() -> None:
    nodes = samples()
    nodes[4] = replace(nodes[4], link=shaper(out_mbps=40.0))
    assert RATES in broken(nodes=nodes)


def test_a_flow_above_its_cap_is_found() -> None:
    rule = rules(nodes=samples(share=2.0), lines=spans(nbytes=2 * NEEDED))[FLOWS]
    assert not rule.passed
    assert "class 11000 of decode 40 of 20 Mbit/s" in rule.observed
    assert FLOWS not in broken(nodes=samples(share=1.05))


def late(nodes: list[NodeSample], at: int, by_s: float) -> list[NodeSample]:
    """One look of decode's is stamped so much after its bytes were read, and says so."""
    link = nodes[at].link
    assert link is not None
    assert link.at_s is not None
    stamped = replace(link, began_s=link.at_s - 0.01, at_s=link.at_s + by_s)
    return [*nodes[:at], replace(nodes[at], link=stamped), *nodes[at + 1 :]]


def test_a_reader_that_had_to_wait_after_it_read_is_no_flow_above_its_cap() -> None:
    nodes = late(late(samples(), 4, 0.95), 6, 0.05)
    unsaid = [replace(one, link=replace(one.link, began_s=None)) for one in nodes if one.link]
    assert FLOWS in broken(nodes=unsaid)
    assert FLOWS not in broken(nodes=nodes)


def test_a_flow_that_waits_and_does_not_get_its_cap_is_found() -> None:
    assert broken(nodes=samples(share=0.5)) == [NEAR]
    assert broken(nodes=samples(share=0.7)) == []


def test_a_flow_that_waits_for_a_full_nic_is_not_held_against_its_own_cap() -> None:
    nodes = [replace(node, nic_sent_bytes=4 * node.nic_sent_bytes) for node in samples(share=0.5)]
    nodes = [replace(node, nic_received_bytes=4 * node.nic_received_bytes) for node in nodes]
    assert NEAR not in broken(nodes=[replace(n, nic_sent_bytes=2 * n.nic_sent_bytes) for n in nodes])


@pytest.mark.parametrize(("count", "passed"), [(3, False), (4, True)])
def test_flows_that_together_fill_a_nic_are_not_held_against_their_own_caps(count: int, passed: bool) -> None:
    """Between two requests the NIC that they share idles, and they wait again at the next look."""
    nodes = []
    for sample in samples(share=0.3):
        link = sample.link
        assert link is not None
        flows = {f"{number}": flow for flow in link.flows.values() for number in range(count)}
        nodes.append(replace(sample, link=replace(link, flows=flows)))
    assert rules(nodes)[NEAR].passed is passed


def test_bytes_that_no_request_needed_are_found() -> None:
    """Half as much again, as another Ray driver on the cluster sent in one trial."""
    rule = rules(nodes=samples(extra=int(0.53 * FLOW_BYTES)), lines=spans(nbytes=NEEDED))[SENT]
    assert not rule.passed
    assert "stop what else uses the cluster's links" in rule.remedy


def test_what_ray_repeats_after_ten_seconds_is_its_own() -> None:
    nodes = samples(extra=FLOW_BYTES)
    assert SENT in broken(nodes=nodes, lines=spans(took_s=9.9))
    assert SENT not in broken(nodes=nodes, lines=spans(took_s=10.1))


def test_an_arm_may_set_after_how_long_ray_repeats() -> None:
    sooner = replace(parts.load_report(), flags_requested={PULL_TIMEOUT_VARIABLE: "1000"})
    nodes = samples(extra=FLOW_BYTES)
    assert SENT in broken(nodes=nodes, lines=spans(took_s=0.9), load_report=sooner)
    assert SENT not in broken(nodes=nodes, lines=spans(took_s=1.1), load_report=sooner)


def test_bytes_on_a_node_that_needed_none_are_found() -> None:
    nodes = samples()
    for second in range(SECONDS + 1):
        nodes.append(
            records.sample(100.0 + second, node="head", nic_sent_bytes=second * FLOW_BYTES, link=shaper())
        )
    network = replace(NETWORK, links=[*NETWORK.links, replace(NETWORK.links[0], node="head")])
    rule = rules(nodes=nodes, network=network)[SENT]
    assert not rule.passed
    assert "head sent" in rule.observed


@pytest.mark.parametrize("measured", [9.0, 40.0])
def test_a_link_that_is_off_after_the_trial_is_found(measured: float) -> None:
    off = replace(NETWORK, checks_after=[CHECK, replace(CHECK, measured_mbps=measured)])
    assert broken(network=off) == [AFTER]
    assert broken(network=replace(NETWORK, checks_after=[])) == [AFTER]


def test_no_sample_proves_nothing() -> None:
    assert broken(nodes=[]) == [RATES, SENT]


EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def committed() -> list[tuple[float, float, float]]:
    """Of each trial of the committed studies: bytes sent over bytes needed, its longest latency, and after
    how long Ray repeats a pull, in s."""
    earlier = json.loads((EXPERIMENTS / "interval_coverage" / "earlier_trials.json").read_text())
    key = f"runtime.env.{PULL_TIMEOUT_VARIABLE}"
    return [(trial["sent_over_needed"], trial["latency_max_s"], PULL_TIMEOUT_S) for trial in earlier] + [
        (
            point["metrics"]["sent_over_needed"],
            max(point["latencies_s"]),
            float(arm["settings"].get(key, 1000 * PULL_TIMEOUT_S)) / 1000,
        )
        for path in EXPERIMENTS.rglob("comparison.json")
        for scenario in json.loads(path.read_text())["scenarios"]
        for arm in scenario["arms"]
        for point in arm["trials"]
        if "sent_over_needed" in point["metrics"]
    ]


def test_no_trial_of_the_committed_studies_sent_more_without_a_pull_that_ray_repeats() -> None:
    """Their lines are not committed, so a request's latency stands for its longest pull."""
    each = committed()
    assert len(each) > 100
    for ratio, latency_s, timeout_s in each:
        assert ratio <= (1 + latency_s // timeout_s) * (1 + OVERHEAD)
        assert ratio <= 1 + OVERHEAD or latency_s > timeout_s
    assert max(ratio for ratio, *_ in each) > 2.5, "such as would be alarms without knowing of repeats"
