"""Whether an emulated cluster's links stayed as they were checked: while the trial ran, and after it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from vbench.clusters.emulated.topology import DATA_CLASSES, OTHER_CLASSES
from vbench.record.link_use import CHATTER_MBPS, PEAK_S
from vbench.record.measurements import Measurements
from vbench.record.network import LINK_TOLERANCE, Link, LinkSample, Network
from vbench.record.transfers import Transfer
from vbench.record.types import NodeSample, Observed, Rule

READ_TOLERANCE = 0.01
"""A rate that is read back from the kernel was rounded to 1 kbit/s on its way there."""

AFTER_TOLERANCE = 0.25
"""The check after the trial is short; what was changed on purpose is off by more."""

PULL_TIMEOUT_S = 10.0
"""Ray asks again for an object that has not come within this time, and sends all of it again
(``object_manager_pull_timeout_ms``); later repeats wait longer, so this bounds their number."""

OVERHEAD = 0.15
"""Of the bytes that had to cross: headers, acknowledgements, and pieces that Ray repeats when a buffer is
full. At most 7% were seen in the committed studies in trials without a pull of more than 10 s."""

SPARE_BYTES = 2_000_000
"""What each node may send or receive beside that, and beside the chatter of Ray's nodes."""

FULL = 0.85
"""From this share of its cap on a NIC is what a flow waits for, and not the flow's own cap."""

LEAST_OF_CAP = 0.6
"""A queue that is not empty at two looks was served at its cap in between, or was empty for a part of the
time. So of such times the best tenth must reach this much of the cap: flows of short transfers do not
reach all of it, and a link that is half as fast as it says reaches half."""

LEAST_WAITED_S = 2.0
"""Below, too little waited at two looks in turn to tell."""

BROKEN = "something changed the links (tc), or sent over them, while the trial ran: do not use the numbers"


def judge(observed: Observed, network: Network, measured: Measurements) -> Iterator[Rule]:
    """The rules; none for a record of before the links were watched."""
    if not observed.stalls:
        return
    series: dict[str, list[NodeSample]] = {}
    for sample in measured.nodes:
        series.setdefault(sample.node, []).append(sample)
    yield _configured(network.links, series)
    yield _flows_capped(network.links, series)
    yield _near_cap(network.links, series)
    yield _explained(network.links, series, observed, measured.transfers)
    yield _after(network)


Series = Mapping[str, Sequence[NodeSample]]
"""Node -> its samples."""


def _configured(links: Sequence[Link], series: Series) -> Rule:
    looks = wrong = 0
    first = ""
    for link in links:
        for sample in series.get(link.node, ()):
            looks += 1
            difference = _difference(link, sample)
            wrong += bool(difference)
            first = first or difference
    return Rule(
        name="the kernel kept the links' rates",
        holds=looks > 0 and not wrong,
        found=(
            f"{wrong} of {looks} looks found another rate; the first: {first}"
            if wrong
            else f"the rates of NICs and flows were those of the plan at all {looks} looks"
        ),
        remedy=BROKEN,
    )


def _difference(link: Link, sample: NodeSample) -> str:
    """In words; empty if the kernel has what the plan says."""
    found = sample.link
    if found is None:
        return f"{link.node}: its queues were not looked at"
    for what, mbps, wanted in (
        ("sends at up to", found.out_mbps, link.nic_mbps),
        ("receives at up to", found.in_mbps, link.nic_mbps),
        ("has a flow class of", found.flow_least_mbps, link.flow_mbps),
        ("has a flow class of", found.flow_most_mbps, link.flow_mbps),
    ):
        if mbps is None:
            return f"{link.node}: its shaper is gone"
        if abs(mbps - wanted) > max(READ_TOLERANCE * wanted, 0.001):
            return f"{link.node} {what} {mbps:.4g} Mbit/s instead of {wanted:.4g}"
    if found.flow_classes != DATA_CLASSES + OTHER_CLASSES:
        return f"{link.node} has {found.flow_classes} flow classes instead of {DATA_CLASSES + OTHER_CLASSES}"
    return ""


def _flows_capped(links: Sequence[Link], series: Series) -> Rule:
    share, where, mbps, cap = max(
        (
            (peak / link.flow_mbps, f"class {name} of {link.node}", peak, link.flow_mbps)
            for link in links
            for name, peak in _flow_peaks(series.get(link.node, ())).items()
        ),
        default=(0.0, "", 0.0, 0.0),
    )
    return Rule(
        name="no flow carried more than its cap",
        holds=share <= 1 + LINK_TOLERANCE,
        found=(
            f"the most over {PEAK_S:g} s: {where} {mbps:.4g} of {cap:.4g} Mbit/s ({share:.0%});"
            f" {LINK_TOLERANCE:.0%}"
            " more are allowed"
            if where
            else f"no flow moved a megabyte over {PEAK_S:g} s"
        ),
        remedy=BROKEN,
    )


def _flow_peaks(samples: Sequence[NodeSample]) -> dict[str, float]:
    """Class -> its highest rate in Mbit/s between two samples ``PEAK_S`` or more apart.

    Where a reader had to wait for the CPU, the longest time that the bytes may have taken counts.
    """
    peaks: dict[str, float] = {}
    looks = [
        (link.earliest_s, link.at_s, link.flows)
        for sample in samples
        if (link := sample.link) and link.at_s is not None and link.earliest_s is not None
    ]
    first = 0
    for last, (_, at_s, flows) in enumerate(looks):
        while first + 1 < last and at_s - looks[first + 1][1] >= PEAK_S:
            first += 1
        earliest_s, read_s, before = looks[first]
        if at_s - read_s < PEAK_S:
            continue
        for name, (sent, _) in flows.items():
            # A class that was not listed had sent less than a megabyte; what it had is not known.
            if name in before:
                rate = 8e-6 * (sent - before[name][0]) / (at_s - earliest_s)
                peaks[name] = max(peaks.get(name, 0.0), rate)
    return peaks


def _near_cap(links: Sequence[Link], series: Series) -> Rule:
    shares: list[float] = []
    waited_s = 0.0
    full = _full_times({link.node: link for link in links}, series)
    for link in links:
        for before, after in _looks(series.get(link.node, ())):
            assert before.at_s is not None
            assert after.at_s is not None
            passed_s = after.at_s - before.at_s
            if passed_s <= 0 or any(from_s < after.at_s and before.at_s < to_s for from_s, to_s in full):
                continue
            if max(map(_waiting, (before, after))) * link.flow_mbps >= FULL * link.nic_mbps:
                continue  # they wait for the NIC that they share, which idles between two requests
            for name, (sent, waiting) in after.flows.items():
                then = before.flows.get(name)
                if then is not None and then[1] and waiting:
                    shares.append(8e-6 * (sent - then[0]) / (link.flow_mbps * passed_s))
                    waited_s += passed_s
    enough = waited_s >= LEAST_WAITED_S
    best = sorted(shares)[-1 - len(shares) // 10] if shares else 0.0
    return Rule(
        name="flows were near their cap while their queue was not empty",
        holds=not enough or best >= LEAST_OF_CAP,
        found=(
            f"of {waited_s:.1f} s in which flows waited, the best tenth reached {best:.0%} of the cap, at"
            " least"
            f" {LEAST_OF_CAP:.0%} must be"
            if enough
            else f"flows waited for their own cap for {waited_s:.1f} s alone, too little to tell"
        ),
        remedy=BROKEN,
    )


def _waiting(look: LinkSample) -> int:
    """How many flow classes have something in their queue."""
    return sum(bool(waiting) for _, waiting in look.flows.values())


def _looks(samples: Sequence[NodeSample]) -> Iterator[tuple[LinkSample, LinkSample]]:
    """Each two looks in turn at a node's classes."""
    return pairwise(sample.link for sample in samples if sample.link and sample.link.at_s is not None)


def _full_times(links: Mapping[str, Link], series: Series) -> list[tuple[float, float]]:
    """When some NIC was full: flows into it or out of it then wait for that, and not for their own cap."""
    return [
        (before.at_s, after.at_s)
        for node, samples in series.items()
        for before, after in pairwise(samples)
        if node in links
        and max(
            after.nic_sent_bytes - before.nic_sent_bytes,
            after.nic_received_bytes - before.nic_received_bytes,
        )
        * 8e-6
        >= FULL * links[node].nic_mbps * (after.at_s - before.at_s)
    ]


def _explained(links: Sequence[Link], series: Series, observed: Observed, each: Sequence[Transfer]) -> Rule:
    found = []
    for link in links:
        samples = series.get(link.node, ())
        if len(samples) < 2:
            continue
        first, last = samples[0], samples[-1]
        chatter = SPARE_BYTES + CHATTER_MBPS / 8e-6 * (last.at_s - first.at_s)
        late = observed.late_sent_bytes.get(link.node, 0)
        for way, actual, own in (
            ("sent", last.nic_sent_bytes - first.nic_sent_bytes + late, "sender"),
            ("received", last.nic_received_bytes - first.nic_received_bytes, "receiver"),
        ):
            needed = sum(one.bytes for one in each if getattr(one, own) == link.node)
            once = sum(one.bytes * (1 + _repeats(one)) for one in each if getattr(one, own) == link.node)
            acknowledged = sum(one.bytes for one in each if getattr(one, own) != link.node) * 0.03
            allowed = once * (1 + OVERHEAD) + acknowledged + chatter
            found.append((actual / allowed, f"{link.node} {way}", actual, allowed, needed))
    share, where, actual, allowed, needed = max(found, default=(0.0, "", 0, 0.0, 0))
    return Rule(
        name="what was sent is what had to cross, and Ray's own repeats",
        holds=bool(found) and share <= 1,
        found=(
            f"{where} {actual / 1e6:.1f} MB, {needed / 1e6:.1f} MB had to; with Ray's repeats of pulls of"
            " more than"
            f" {PULL_TIMEOUT_S:g} s, headers and chatter at most {allowed / 1e6:.1f} MB"
            if found
            else "no two samples of a node were taken"
        ),
        remedy=(
            "something else sent over the cluster's links (another job, another driver): stop it, and run"
            " again"
        ),
    )


def _repeats(one: Transfer) -> int:
    """How often Ray may have sent an object again, by the time that its transfer took."""
    return int(max(0.0, one.took_s) // PULL_TIMEOUT_S)


def _after(network: Network) -> Rule:
    wrong = [check for check in network.checks_after if check.error > AFTER_TOLERANCE]
    worst = max(network.checks_after, key=lambda check: check.error, default=None)
    found = "no link was checked after the trial"
    if worst is not None:
        found = (
            f"{len(network.checks_after)} transfers of the harness's own, {len(wrong)} more than"
            f" {AFTER_TOLERANCE:.0%} off; the worst: {worst.sender} to {worst.receiver}, {worst.flows} at a"
            f" time, {worst.measured_mbps:.4g} of {worst.expected_mbps:.4g} Mbit/s"
        )
    return Rule(
        name="the links had their rates after the trial",
        holds=bool(network.checks_after) and not wrong,
        found=found,
        remedy=BROKEN,
    )
