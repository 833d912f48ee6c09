"""The rules of an emulated trial on its links: they had their rates, and they set the pace, not the
machine."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import LoadConfig
from vbench.record.link_fidelity import SATURATED_PERCENT
from vbench.record.link_use import PEAK_S, LinkUse, Round, peak_mbps
from vbench.record.measurements import Measurements
from vbench.record.network import LINK_TOLERANCE, Link, Network
from vbench.record.types import Rule

LEAST_QUEUED_PERCENT = 50.0
"""Of all bytes, so many must have moved while packets were waiting in a link's queue: more than half of them
waited for a link. Below, something else made the bytes come more slowly than the links could take them.
Judged by what waits when samples are taken, not by the shaper's counter of waits: any burst raises that."""

NOT_BOUNDED_PERCENT = 100.0
"""``load.max_machine_cpu_percent`` at this value asks not to judge the CPUs."""

MOST_SATURATED_PERCENT = 50.0
"""Of all bytes, at most so many may have moved while the CPUs had nothing to spare: the mean over a trial
can hide that they were the limit for most of it."""


def judge(load: LoadConfig, network: Network, measured: Measurements) -> Iterator[Rule]:
    """The rules of an emulated trial; ``measured`` is of that network."""
    fidelity = measured.link_fidelity
    assert fidelity is not None, "only a trial on an emulated network has these rules"
    yield _checks(network)
    yield _all_on_links(fidelity.intervals, measured.transferred_bytes)
    yield _capped(fidelity.intervals, network.links)
    yield _cpu(load, fidelity.cpu_while_moving_percent, fidelity.cpu_saturated_percent)
    yield _links(fidelity.queued_percent, fidelity.uses)


def _checks(network: Network) -> Rule:
    wrong = [check for check in network.checks if not check.holds]
    worst = max(network.checks, key=lambda check: check.error, default=None)
    found = "no link was checked"
    if worst is not None:
        found = (
            f"{len(network.checks)} transfers of the harness's own, {len(wrong)} more than"
            f" {LINK_TOLERANCE:.0%} off; the worst: {worst.sender} to {worst.receiver}, {worst.flows} at a"
            f" time, {worst.measured_mbps:.4g} of {worst.expected_mbps:.4g} Mbit/s"
        )
    return Rule(
        name="the links had their rates before the trial",
        holds=bool(network.checks) and not wrong,
        found=found,
        remedy="stop other programs, or raise cluster.scale: this machine does not keep up with such links",
    )


def _all_on_links(each: Sequence[Round], needed_bytes: int) -> Rule:
    sent = sum(interval.sent_bytes for one in each for interval in one.values())
    return Rule(
        name="what had to cross went over the shaped links",
        holds=0 < needed_bytes <= sent,
        found=f"{sent / 1e6:.1f} MB on the links, {needed_bytes / 1e6:.1f} MB had to cross between nodes",
        remedy=(
            "place decoder and model on nodes of their own (cluster.deployments.*.resources)"
            if not needed_bytes
            else "a way beside the links was taken, or samples are missing: do not use the numbers"
        ),
    )


def _capped(each: Sequence[Round], links: Sequence[Link]) -> Rule:
    peaks = [(peak_mbps(each, link.node) / link.nic_mbps, link) for link in links]
    share, link = max(peaks, key=lambda peak: peak[0])
    return Rule(
        name="no link carried more than its cap",
        holds=share <= 1 + LINK_TOLERANCE,
        found=(
            f"the most over {PEAK_S:g} s: {link.node} {share * link.nic_mbps:.4g} of {link.nic_mbps:.4g}"
            f" Mbit/s ({share:.0%}); {LINK_TOLERANCE:.0%} more are allowed, for headers that the shaper adds"
        ),
        remedy="the links were not shaped as asked for: do not use the numbers; run python -m vbench doctor",
    )


def _cpu(load: LoadConfig, percent: float | None, saturated: float | None) -> Rule:
    """Both bounds fall with ``load.max_machine_cpu_percent=100``, which asks not to look at the CPUs."""
    bound = load.max_machine_cpu_percent
    found = "no two samples of the machine were taken while bytes moved"
    holds = False
    if percent is not None and saturated is not None:
        holds = bound == NOT_BOUNDED_PERCENT or (percent <= bound and saturated <= MOST_SATURATED_PERCENT)
        found = (
            f"{percent:.1f}% of the CPUs in use while bytes moved, bound {bound:g}%; {saturated:.1f}% of the"
            f" bytes moved while they were used to {SATURATED_PERCENT:g}% or more, bound"
            f" {MOST_SATURATED_PERCENT:g}%"
        )
    return Rule(
        name="the machine's CPUs were not what transfers waited for",
        holds=holds,
        found=found,
        remedy=(
            "raise cluster.scale and shorten the video with it, take smaller pictures or fewer frames"
            " (video.scene, pipeline.fps), lower load.concurrency, or give the machine more cores"
        ),
    )


def _links(percent: float | None, uses: Sequence[LinkUse]) -> Rule:
    rates = ", ".join(f"{use.node} {use.rate_mbps:.4g} of {use.nic_mbps:.4g}" for use in uses if use.moving_s)
    dropped = sum(use.dropped for use in uses)
    return Rule(
        name="the shaped links were what transfers waited for",
        holds=percent is not None and percent >= LEAST_QUEUED_PERCENT,
        found=(
            f"{percent:.1f}% of the bytes moved while packets waited in a link's queue, at least"
            f" {LEAST_QUEUED_PERCENT:g}% must; Mbit/s while bytes moved: {rates}; {dropped} packets dropped"
            if percent is not None
            else "no bytes moved over the links"
        ),
        remedy=(
            "make the links slower (raise cluster.scale) or send more over them at a time (load.concurrency,"
            " pipeline.frame_size=native): something else sets the pace"
        ),
    )
