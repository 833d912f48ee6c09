"""The rules that the emulated links, and not the machine, set the pace of a trial's transfers."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config, LoadConfig
from vbench.config.workload import APP, workload_of
from vbench.record.link_caps import LinkCaps
from vbench.record.link_fidelity import SATURATED_PERCENT
from vbench.record.link_use import PEAK_S, LinkUse, NodeIntervals, peak_of_cap
from vbench.record.measurements import Measurements
from vbench.record.network import LINK_TOLERANCE, LinkCheck, Network
from vbench.record.nic_bytes import nic_bytes, objects_sent
from vbench.record.samples import NodeSample
from vbench.record.trial import Rule
from vbench.validity.catalog.links import (
    ALL_ON_LINKS,
    CPUS_DID_NOT_LIMIT,
    LINKS_SET_THE_PACE,
    NICS_CAPPED,
    NOTHING_MOVED,
    RATES_BEFORE,
)
from vbench.validity.link_checks import describe_checks, worst_check

UNACKNOWLEDGED_BYTES = 1_000_000
"""What may have been on its way at the first sample: counted by the NIC before it, acknowledged after it."""

LEAST_QUEUED_PERCENT = 50.0
"""At least this share of all bytes must have moved while packets waited in a link's queue: more than half of
them waited for a link. With less, something else was slower than the links. Judged by what waits when samples
are taken, not by the shaper's counter of waits, which any burst raises."""

NOT_BOUNDED_PERCENT = 100.0
"""``load.max_machine_cpu_percent`` at this value asks not to judge the CPUs."""

MOST_SATURATED_PERCENT = 50.0
"""At most this share of all bytes may have moved while the CPUs were saturated: the mean over a trial can
hide that they were the bottleneck for most of it."""


def judge(config: Config, network: Network, measured: Measurements) -> Iterator[Rule]:
    """The rules of an emulated trial; ``measured`` is of that network.

    What an application of the user's must move between nodes is not known, nor whether it needs the links at
    all: of it, only the rates, the CPUs, and the route of Ray's objects are judged.
    """
    fidelity = measured.link_fidelity
    assert fidelity is not None, "only a trial on an emulated network has these rules"
    yield _checks(network)
    is_app = workload_of(config) == APP
    if not is_app:
        yield _all_on_links(fidelity.intervals, measured.transferred_bytes)
    elif any(sample.object_bytes for sample in measured.nodes):
        yield objects_on_links(measured.nodes)
    yield _capped(fidelity.intervals, LinkCaps.of(network))
    if not is_app or fidelity.cpu_while_moving_percent is not None:
        yield _cpu(config.load, fidelity.cpu_while_moving_percent, fidelity.cpu_saturated_percent)
    if not is_app:
        yield _links(fidelity.queued_percent, fidelity.uses)


def _checks(network: Network) -> Rule:
    checks = network.checks
    return RATES_BEFORE.verdict(
        passed=bool(checks) and all(check.passed for check in checks),
        observed=f"{describe_checks(checks, LINK_TOLERANCE)}{_tries(worst_check(checks))}",
    )


def _tries(check: LinkCheck | None) -> str:
    """Whether a link was checked several times, as text."""
    return f", in try {check.tries}" if check is not None and check.tries > 1 else ""


def _all_on_links(intervals: Sequence[NodeIntervals], needed_bytes: int) -> Rule:
    sent = sum(interval.sent_bytes for one in intervals for interval in one.values())
    return ALL_ON_LINKS.verdict(
        passed=0 < needed_bytes <= sent,
        observed=(f"{sent / 1e6:.1f} MB on the links, {needed_bytes / 1e6:.1f} MB had to move between nodes"),
        remedy=None if needed_bytes else NOTHING_MOVED.text,
    )


def objects_on_links(samples: Sequence[NodeSample]) -> Rule:
    """Of each node: its NIC sent at least what its object manager did."""
    sent = nic_bytes(samples)
    moved = objects_sent(samples)
    off = [node for node, nbytes in moved.items() if nbytes > sent[node].sent + UNACKNOWLEDGED_BYTES]
    node = off[0] if off else ""
    return ALL_ON_LINKS.verdict(
        passed=not off,
        observed=(
            f"the object manager of {node} sent {moved[node] / 1e6:.1f} MB, and its link carried"
            f" {sent[node].sent / 1e6:.1f} MB"
            if off
            else f"{sum(one.sent for one in sent.values()) / 1e6:.1f} MB on the links, of which object"
            f" managers sent {sum(moved.values()) / 1e6:.1f} MB"
        ),
    )


def _capped(intervals: Sequence[NodeIntervals], caps: LinkCaps) -> Rule:
    peaks = {node: peak_of_cap(intervals, node, caps) for node in caps.first}
    node, (rate_mbps, cap_mbps) = max(peaks.items(), key=lambda peak: peak[1][0] / peak[1][1])
    share = rate_mbps / cap_mbps
    return NICS_CAPPED.verdict(
        passed=share <= 1 + LINK_TOLERANCE,
        observed=(
            f"highest rate over {PEAK_S:g} s: {node} {rate_mbps:.4g} of {cap_mbps:.4g}"
            f" Mbit/s ({share:.0%}); up to {1 + LINK_TOLERANCE:.0%} is allowed, for headers that the"
            f" shaper adds"
        ),
    )


def _cpu(load: LoadConfig, percent: float | None, saturated: float | None) -> Rule:
    """``load.max_machine_cpu_percent=100`` lifts both bounds."""
    bound = load.max_machine_cpu_percent
    observed = "there are fewer than two samples of the machine while bytes moved"
    passed = False
    if percent is not None and saturated is not None:
        passed = bound == NOT_BOUNDED_PERCENT or (percent <= bound and saturated <= MOST_SATURATED_PERCENT)
        observed = (
            f"CPU utilisation while bytes moved was {percent:.1f}%, limit {bound:g}%; {saturated:.1f}% of the"
            f" bytes moved at a CPU utilisation of {SATURATED_PERCENT:g}% or more, limit"
            f" {MOST_SATURATED_PERCENT:g}%"
        )
    return CPUS_DID_NOT_LIMIT.verdict(
        passed=passed,
        observed=observed,
    )


def _links(percent: float | None, uses: Sequence[LinkUse]) -> Rule:
    rates = ", ".join(f"{use.node} {use.rate_mbps:.4g} of {use.nic_mbps:.4g}" for use in uses if use.moving_s)
    dropped = sum(use.dropped for use in uses)
    return LINKS_SET_THE_PACE.verdict(
        passed=percent is not None and percent >= LEAST_QUEUED_PERCENT,
        observed=(
            f"{percent:.1f}% of the bytes moved while packets waited in a link's queue, minimum"
            f" {LEAST_QUEUED_PERCENT:g}%; Mbit/s while bytes moved: {rates}; {dropped} packets dropped"
            if percent is not None
            else "no bytes moved over the links"
        ),
    )
