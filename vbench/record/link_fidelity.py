"""Whether an emulated trial was faithful: the shaped links set the pace of its transfers, not the machine.

After Handigol et al., "Reproducible network experiments using container-based emulation" (Mininet-HiFi),
CoNEXT 2012: an emulation that shares a machine's CPUs proves of each run that these were not what it waited
for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from vbench.config.schema import LoadConfig
from vbench.record.link_use import PEAK_S, LinkUse, Round, is_moving, link_use, peak_mbps, rounds
from vbench.record.network import LINK_TOLERANCE, Link, Network
from vbench.record.types import MachineSample, NodeSample, Rule

LEAST_QUEUED_PERCENT = 50.0
"""Of all bytes, so many must have moved while packets were waiting in a link's queue: more than half of them
waited for a link. Below, something else made the bytes come more slowly than the links could take them.
Judged by what waits at the looks, not by the shaper's counter of waits: any burst raises that."""

WHOLE = 100.0

SATURATED_PERCENT = 95.0
"""From here on the CPUs have nothing to spare."""

MOST_SATURATED_PERCENT = 50.0
"""Of all bytes, at most so many may have moved while the CPUs had nothing to spare: the mean over a trial
can hide that they were the limit for most of it."""


def cpu_while_moving(
    each: Sequence[Round], links: Sequence[Link], machines: Sequence[MachineSample]
) -> float | None:
    """Percent of the machine's CPU that was not idle, interrupts included, while any link carried something:
    the mean over its samples' intervals, weighted by the seconds that these share with such rounds. None
    where nothing moved, or no two samples of the machine were taken meanwhile.
    """
    spans = [_times(one) for one in each if _anything_moves(one, links)]
    weighed = total_s = 0.0
    for begins_s, ends_s, percent in _used(machines):
        shared_s = sum(max(0.0, min(ends_s, to_s) - max(begins_s, from_s)) for from_s, to_s in spans)
        weighed += shared_s * percent
        total_s += shared_s
    return weighed / total_s if total_s else None


def _used(machines: Sequence[MachineSample]) -> list[tuple[float, float, float]]:
    """From, to, and percent of the machine's CPU that was not idle, between each two samples."""
    return [
        (before.at_s, after.at_s, 100 * (1 - (after.cpu_idle_s - before.cpu_idle_s) / passed_s))
        for before, after in pairwise(machines)
        if (passed_s := after.cpu_all_s - before.cpu_all_s) > 0
    ]


def _times(one: Round) -> tuple[float, float]:
    """When a round was; its nodes are looked at within milliseconds, and the first stands for all."""
    first = next(iter(one.values()))
    return first.from_s, first.to_s


def _anything_moves(one: Round, links: Sequence[Link]) -> bool:
    return any(is_moving(one[link.node], link) for link in links if link.node in one)


def saturated_percent(
    each: Sequence[Round], links: Sequence[Link], machines: Sequence[MachineSample]
) -> float | None:
    """Percent of all bytes sent that moved while the machine's CPUs were used to ``SATURATED_PERCENT`` or
    more, as far as its samples' intervals tell; None where nothing moved while it was sampled."""
    used = _used(machines)
    moved = saturated = 0.0
    for one in each:
        from_s, to_s = _times(one)
        if to_s <= from_s:
            continue
        sent = sum(one[link.node].sent_bytes for link in links if link.node in one)
        for begins_s, ends_s, percent in used:
            share = max(0.0, min(to_s, ends_s) - max(from_s, begins_s)) / (to_s - from_s)
            moved += share * sent
            saturated += share * sent * (percent >= SATURATED_PERCENT)
    return 100 * saturated / moved if moved else None


def held_percent(each: Sequence[Round], links: Sequence[Link]) -> float | None:
    """Percent of all bytes sent that moved while a shaper of their sender or their receiver held packets
    back; None where nothing moved.

    A link in an interval held back where its counter of waits grew, or bytes were waiting at either look.
    Counters do not say who sent to whom, so what a node sent is taken to have gone to the others in the
    proportion of what they received in the same interval. Intervals in which the sender's link carried
    nothing worth the name are left out.
    """
    return _share(each, links, _held)


def queued_percent(each: Sequence[Round], links: Sequence[Link]) -> float | None:
    """As ``held_percent``, of bytes that moved in intervals at an end of which bytes were waiting: the sign
    that is judged, since a look sees only what waits at that moment."""
    return _share(each, links, _queued)


def _held(one: Round, node: str) -> tuple[bool, bool]:
    return one[node].out_held, one[node].in_held


def _queued(one: Round, node: str) -> tuple[bool, bool]:
    return one[node].out_backlog, one[node].in_backlog


def _share(
    each: Sequence[Round], links: Sequence[Link], held: Callable[[Round, str], tuple[bool, bool]]
) -> float | None:
    moved = waited = 0.0
    for one in each:
        present = [link for link in links if link.node in one]
        for link in present:
            sent = one[link.node].sent_bytes
            if not is_moving(one[link.node], link) or not sent:
                continue
            others = {
                other.node: one[other.node].received_bytes for other in present if other.node != link.node
            }
            moved += sent
            waited += sent * (1.0 if held(one, link.node)[0] else _held_by(one, others, held))
    return 100 * waited / moved if moved else None


def _held_by(
    one: Round, received: Mapping[str, int], held: Callable[[Round, str], tuple[bool, bool]]
) -> float:
    """The share of what was received that came through a link whose shaper held packets back."""
    total = sum(received.values())
    return sum(count for node, count in received.items() if held(one, node)[1]) / total if total else 0.0


def metrics(
    network: Network, nodes: Sequence[NodeSample], machines: Sequence[MachineSample]
) -> dict[str, float]:
    """Of each link that carried something, over the intervals in which it did: ``link_rate_mbps.NODE``,
    ``link_use_percent.NODE`` (the rate as a share of the NIC's cap) and ``link_moving_s.NODE``; of all links
    ``link_dropped_packets``; ``link_held_percent``, ``link_queued_percent``, ``cpu_while_moving_percent`` and
    ``cpu_saturated_percent`` as the functions here say.
    """
    each = rounds(nodes)
    uses = [link_use(each, link) for link in network.links]
    found: dict[str, float | None] = {
        "link_held_percent": held_percent(each, network.links),
        "link_queued_percent": queued_percent(each, network.links),
        "cpu_while_moving_percent": cpu_while_moving(each, network.links, machines),
        "cpu_saturated_percent": saturated_percent(each, network.links, machines),
        "link_dropped_packets": float(sum(use.dropped for use in uses)),
    }
    for use in uses:
        if use.moving_s:
            found[f"link_rate_mbps.{use.node}"] = use.rate_mbps
            found[f"link_use_percent.{use.node}"] = use.percent
            found[f"link_moving_s.{use.node}"] = use.moving_s
    return {name: value for name, value in found.items() if value is not None}


def judge(
    load: LoadConfig,
    network: Network,
    nodes: Sequence[NodeSample],
    machines: Sequence[MachineSample],
    needed_bytes: int,
) -> Iterator[Rule]:
    """The rules of an emulated trial. ``needed_bytes``: what had to cross between its nodes."""
    each = rounds(nodes)
    yield _checks(network)
    yield _crossed(each, needed_bytes)
    yield _capped(each, network.links)
    yield _cpu(
        load,
        cpu_while_moving(each, network.links, machines),
        saturated_percent(each, network.links, machines),
    )
    uses = [link_use(each, link) for link in network.links]
    yield _links(queued_percent(each, network.links), uses)


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


def _crossed(each: Sequence[Round], needed_bytes: int) -> Rule:
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
        holds = bound == WHOLE or (percent <= bound and saturated <= MOST_SATURATED_PERCENT)
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
