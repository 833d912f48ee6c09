"""Whether an emulated cluster's links kept their rates while the trial ran and after it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from vbench.clusters.emulated.topology import DATA_CLASSES, OTHER_CLASSES
from vbench.config.schema import Config
from vbench.config.workload import APP, workload_of
from vbench.ray_internals.object_manager import PULL_TIMEOUT_S, PULL_TIMEOUT_VARIABLE
from vbench.record.link_caps import LinkCaps
from vbench.record.link_use import CHATTER_MBPS, PEAK_S
from vbench.record.load_report import LoadReport
from vbench.record.measurements import Measurements
from vbench.record.network import LINK_TOLERANCE, Link, LinkSample, Network
from vbench.record.samples import NodeSample
from vbench.record.transfers import Transfer
from vbench.record.trial import Rule
from vbench.validity.catalog.links import FLOWS_CAPPED, NEAR_CAP, NOTHING_ELSE, RATES_AFTER, RATES_KEPT
from vbench.validity.link_checks import describe_checks

READING_S = 0.5
"""Reading both ends of all links takes less than this, on a busy machine too."""

READ_TOLERANCE = 0.01
"""A rate that is read back from the kernel was rounded to 1 kbit/s on its way there."""

AFTER_TOLERANCE = 0.25
"""The check after the trial is short; what was changed on purpose is off by more."""

OVERHEAD = 0.15
"""Share of the bytes that had to move: headers, acknowledgements, and pieces that Ray repeats when a buffer
is full. It was at most 7% in the committed studies, in trials without a pull of more than 10 s."""

SPARE_BYTES = 2_000_000
"""What each node may send or receive in addition to that and to Ray's background traffic."""

FULL = 0.85
"""From this share of its cap, flows wait for the NIC and not for their own cap."""

LEAST_OF_CAP = 0.6
"""A queue that is not empty in two samples was served at its cap in between, or was empty for a part of the
time. So the best tenth of such times must reach this share of the cap: flows of short transfers do not reach
all of it, and a link of half its rate reaches half."""

LEAST_WAITED_S = 2.0
"""With less waiting in consecutive samples, there is too little to judge."""


def judge(
    config: Config, load_report: LoadReport, network: Network, measured: Measurements
) -> Iterator[Rule]:
    """The rules; none for older records, in which the links were not watched."""
    if not load_report.stalls:
        return
    series: dict[str, list[NodeSample]] = {}
    for sample in measured.nodes:
        series.setdefault(sample.node, []).append(sample)
    caps = LinkCaps.of(network)
    yield _configured(network.links, caps, series)
    yield _flows_capped(network.links, caps, series)
    yield _near_cap(network.links, caps, series)
    if workload_of(config) != APP:  # of which it is not known what had to move
        yield _explained(network.links, series, load_report, measured.transfers)
    yield _after(network)


Series = Mapping[str, Sequence[NodeSample]]
"""Node -> its samples."""


def _configured(links: Sequence[Link], caps: LinkCaps, series: Series) -> Rule:
    looks = wrong = 0
    first = ""
    for link in links:
        for sample in series.get(link.node, ()):
            looks += 1
            difference = _difference(caps, link.node, sample)
            wrong += bool(difference)
            first = first or difference
    return RATES_KEPT.verdict(
        passed=looks > 0 and not wrong,
        observed=(
            f"{wrong} of {looks} samples have another rate; first: {first}"
            if wrong
            else f"the rates of NICs and flows were as planned in all {looks} samples"
        ),
    )


def _difference(caps: LinkCaps, node: str, sample: NodeSample) -> str:
    """What differs from the plan, as text; empty if nothing does.

    While an event changes rates, and ``READING_S`` before and after, because both ends of all links are read
    one after the other, any of the planned rates is right.
    """
    planned = caps.during(node, sample.earliest_s - READING_S, sample.at_s + READING_S)
    if len(planned) > 1 and sample.link is not None:
        return ""
    return _difference_from(planned[-1], sample)


def _difference_from(link: Link, sample: NodeSample) -> str:
    """What differs from one plan; empty if nothing does."""
    shaped = sample.link
    if shaped is None:
        return f"{link.node}: its queues were not sampled"
    for what, mbps, wanted in (
        ("sends at up to", shaped.out_mbps, link.nic_mbps),
        ("receives at up to", shaped.in_mbps, link.nic_mbps),
        ("has a flow class of", shaped.flow_least_mbps, link.flow_mbps),
        ("has a flow class of", shaped.flow_most_mbps, link.flow_mbps),
    ):
        if mbps is None:
            return f"{link.node}: it has no shaper"
        if abs(mbps - wanted) > max(READ_TOLERANCE * wanted, 0.001):
            return f"{link.node} {what} {mbps:.4g} Mbit/s instead of {wanted:.4g}"
    if shaped.flow_classes != DATA_CLASSES + OTHER_CLASSES:
        return f"{link.node} has {shaped.flow_classes} flow classes instead of {DATA_CLASSES + OTHER_CLASSES}"
    return ""


def _flows_capped(links: Sequence[Link], caps: LinkCaps, series: Series) -> Rule:
    share, where, mbps, cap = max(
        (
            (peak / cap, f"class {name} of {link.node}", peak, cap)
            for link in links
            for name, (peak, cap) in _flow_peaks(caps, link.node, series.get(link.node, ())).items()
        ),
        default=(0.0, "", 0.0, 0.0),
    )
    return FLOWS_CAPPED.verdict(
        passed=share <= 1 + LINK_TOLERANCE,
        observed=(
            f"highest rate over {PEAK_S:g} s: {where} {mbps:.4g} of {cap:.4g} Mbit/s ({share:.0%}); up to"
            f" {1 + LINK_TOLERANCE:.0%} is allowed"
            if where
            else f"no flow moved a megabyte over {PEAK_S:g} s"
        ),
    )


def _flow_peaks(caps: LinkCaps, node: str, samples: Sequence[NodeSample]) -> dict[str, tuple[float, float]]:
    """Class -> its highest rate as a share of the cap between two samples at least ``PEAK_S`` apart: the rate
    and the mean cap of that time, in Mbit/s.

    If a reader had to wait for the CPU, the longest time that the bytes may have taken counts.
    """
    peaks: dict[str, tuple[float, float]] = {}
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
            # A class that was not listed had sent less than a megabyte; how much is unknown.
            if name in before:
                rate = 8e-6 * (sent - before[name][0]) / (at_s - earliest_s)
                one = (rate, caps.mean(node, earliest_s, at_s).flow_mbps)
                peaks[name] = max(peaks.get(name, one), one, key=lambda peak: peak[0] / peak[1])
    return peaks


def _near_cap(links: Sequence[Link], caps: LinkCaps, series: Series) -> Rule:
    shares: list[float] = []
    waited_s = 0.0
    full = _full_times(caps, series)
    for node in (link.node for link in links):
        for before, after in _consecutive(series.get(node, ())):
            assert before.at_s is not None
            assert after.at_s is not None
            link = caps.mean(node, before.at_s, after.at_s)
            passed_s = after.at_s - before.at_s
            if passed_s <= 0 or any(from_s < after.at_s and before.at_s < to_s for from_s, to_s in full):
                continue
            if max(map(_waiting, (before, after))) * link.flow_mbps >= FULL * link.nic_mbps:
                continue  # they wait for the NIC that they share, which is idle between two requests
            for name, (sent, waiting) in after.flows.items():
                then = before.flows.get(name)
                if then is not None and then[1] and waiting:
                    shares.append(8e-6 * (sent - then[0]) / (link.flow_mbps * passed_s))
                    waited_s += passed_s
    enough = waited_s >= LEAST_WAITED_S
    best = sorted(shares)[-1 - len(shares) // 10] if shares else 0.0
    return NEAR_CAP.verdict(
        passed=not enough or best >= LEAST_OF_CAP,
        observed=(
            f"of {waited_s:.1f} s in which flows waited, the best tenth reached {best:.0%} of the cap,"
            f" minimum {LEAST_OF_CAP:.0%}"
            if enough
            else f"flows waited for their own cap for only {waited_s:.1f} s, too little to judge"
        ),
    )


def _waiting(sample: LinkSample) -> int:
    """How many flow classes have something in their queue."""
    return sum(bool(waiting) for _, waiting in sample.flows.values())


def _consecutive(samples: Sequence[NodeSample]) -> Iterator[tuple[LinkSample, LinkSample]]:
    """Each two consecutive samples of a node's classes."""
    return pairwise(sample.link for sample in samples if sample.link and sample.link.at_s is not None)


def _full_times(caps: LinkCaps, series: Series) -> list[tuple[float, float]]:
    """When some NIC was full: flows into it or out of it wait for the NIC and not for their own cap."""
    return [
        (before.at_s, after.at_s)
        for node, samples in series.items()
        for before, after in pairwise(samples)
        if node in caps.first
        and max(
            after.nic_sent_bytes - before.nic_sent_bytes,
            after.nic_received_bytes - before.nic_received_bytes,
        )
        * 8e-6
        >= FULL * caps.mean(node, before.at_s, after.at_s).nic_mbps * (after.at_s - before.at_s)
    ]


def _explained(
    links: Sequence[Link], series: Series, load_report: LoadReport, pulls: Sequence[Transfer]
) -> Rule:
    timeout_s = _pull_timeout_s(load_report.flags_requested)
    shares = []
    for link in links:
        samples = series.get(link.node, ())
        if len(samples) < 2:
            continue
        first, last = samples[0], samples[-1]
        chatter = SPARE_BYTES + CHATTER_MBPS / 8e-6 * (last.at_s - first.at_s)
        late = load_report.post_run_bytes.get(link.node, 0)
        for way, actual, own in (
            ("sent", last.nic_sent_bytes - first.nic_sent_bytes + late, "sender"),
            ("received", last.nic_received_bytes - first.nic_received_bytes, "receiver"),
        ):
            needed = sum(one.bytes for one in pulls if getattr(one, own) == link.node)
            once = sum(
                one.bytes * (1 + _repeats(one, timeout_s)) for one in pulls if getattr(one, own) == link.node
            )
            acknowledged = sum(one.bytes for one in pulls if getattr(one, own) != link.node) * 0.03
            allowed = once * (1 + OVERHEAD) + acknowledged + chatter
            shares.append((actual / allowed, f"{link.node} {way}", actual, allowed, needed))
    share, where, actual, allowed, needed = max(shares, default=(0.0, "", 0, 0.0, 0))
    return NOTHING_ELSE.verdict(
        passed=bool(shares) and share <= 1,
        observed=(
            f"{where} {actual / 1e6:.1f} MB, of which {needed / 1e6:.1f} MB had to move; limit"
            f" {allowed / 1e6:.1f} MB, with headers, Ray's background traffic, and its repeats of pulls of"
            f" more than {timeout_s:g} s"
            if shares
            else "there are fewer than two samples of each node"
        ),
    )


def _repeats(one: Transfer, timeout_s: float) -> int:
    """How often Ray may have repeated an object, by the duration of its transfer; an upper bound."""
    return int(max(0.0, one.took_s) // timeout_s)


def _pull_timeout_s(variables: Mapping[str, str]) -> float:
    """After how long Ray asks for an object again, with the variables of an arm."""
    given = variables.get(PULL_TIMEOUT_VARIABLE)
    return PULL_TIMEOUT_S if given is None else float(given) / 1000


def _after(network: Network) -> Rule:
    checks = network.checks_after
    return RATES_AFTER.verdict(
        passed=bool(checks) and all(check.error <= AFTER_TOLERANCE for check in checks),
        observed=(
            describe_checks(checks, AFTER_TOLERANCE) if checks else "no link was checked after the trial"
        ),
    )
