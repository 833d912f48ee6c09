"""Numbers of a comparison in words, the same on the terminal and in Markdown."""

from vbench.analysis.results import Arm, Comparison, Row
from vbench.analysis.statistics import MOST_BLOCKS, Improvement, Mean
from vbench.record.bottleneck import Bottleneck

FACTS = (
    ("transfer_mbps", "object transfer", "Mbit/s"),
    ("transfer_mb_per_request", "had to cross between nodes, a request", "MB"),
    ("wire_mb_per_request", "sent by all nodes, a request", "MB"),
    ("payload_crossings", "times that the frames' bytes were on the wire", ""),
    ("sent_over_needed", "bytes sent over bytes that had to cross", ""),
    ("link_queued_percent", "bytes that moved while packets waited in a link's queue", "%"),
    ("link_dropped_packets", "packets dropped by a link's queue", ""),
    ("cpu_while_moving_percent", "CPU of the machine in use while bytes moved", "%"),
    ("cpu_saturated_percent", "bytes that moved while the CPUs had nothing to spare", "%"),
    ("cpu_busy_percent", "CPU of the machine in use", "%"),
    ("gpu_busy_percent", "GPUs in use, of the time", "%"),
    ("gpu_energy_j_per_request", "energy of the GPUs, a request", "J"),
    ("throughput_video_s_per_s", "video processed", "s/s"),
)
"""Metrics beside latency: name, what it is, unit. Shown where all trials of an arm have it."""

PHASES = (
    ("cluster", "start"),
    ("link_check", "link check"),
    ("connect", "connect"),
    ("deploy", "deploy"),
    ("warm_up", "warm-up"),
    ("settle", "quiet before"),
    ("measure", "measure"),
    ("drain", "quiet after"),
    ("stop", "stop"),
)
"""Phases of a trial from the cluster's start to its end: name, what it is."""

HARNESS = "harness_s"
"""Metric: what of a trial is the harness's own, in s."""

MANY_BLOCKS = 20
"""With fewer the tests notice only a strong drift (experiments/interval_coverage)."""

NO_BLOCK = "no block with both"


def seconds(mean: Mean | None) -> str:
    """``66.1 ± 1.8 s``, with the half width of the 95% interval where there are several blocks."""
    if mean is None:
        return ""
    places = decimals(mean.value)
    if mean.half_width is None:
        return f"{mean.value:.{places}f} s"
    return f"{mean.value:.{places}f} ± {mean.half_width:.{places}f} s"


def decimals(value_s: float) -> int:
    """Places after the point that a time is written with: three figures, and one place for long ones."""
    return 1 if value_s >= 10 else 2 if value_s >= 1 else 3


def percent(value: Improvement | None) -> str:
    """``26% [22%, 30%]``: how much lower the latency is, with its 95% interval."""
    if value is None:
        return NO_BLOCK
    text = f"{_whole(value.percent)}%"
    if value.low_percent is None or value.high_percent is None:
        return text
    return f"{text} [{_whole(value.low_percent)}%, {_whole(value.high_percent)}%]"


def _whole(number: float) -> str:
    if number < -999:
        return "<-999"
    return f"{number:.1f}" if abs(number) < 10 else f"{number:.0f}"


def verdict(value: Improvement | None) -> str:
    """The verdict; the interval beside it says how large a difference may still be."""
    return value.verdict if value else ""


def precision(value: Improvement | None) -> str:
    """How many blocks a narrower interval takes; empty if it is narrow enough, or not known."""
    if value is None or value.half_width_points is None or value.half_width_points <= value.wanted_points:
        return ""
    blocks = f"about {value.precise_blocks}" if value.precise_blocks else f"more than {MOST_BLOCKS}"
    width = _whole(min(value.half_width_points, 1000))
    text = (
        f"the interval is ±{width} points; for ±{value.wanted_points:g} it would take {blocks} blocks in all,"
        f" by the spread seen so far"
    )
    if not value.precise_blocks:
        return text
    return f"{text}: run a new sweep with blocks={value.precise_blocks}, and judge it by itself"


NAMES = {
    "latency_mean_first_half_s": "mean latency of the first half of the requests",
    "latency_mean_second_half_s": "mean latency of the second half",
    "steady_latency_mean_s": "mean latency while all slots were busy",
    "makespan_s": "makespan",
}
"""What is compared beside the mean latency: metric -> what it is."""


def stability(row: Row) -> str:
    """How much hangs on one block, and whether the difference drifts; empty for fewer than three blocks."""
    parts = []
    one, drift = row.without_one, row.drift
    if one is not None:
        parts.append(
            f"without any one block the improvement is {_whole(one.low_percent)}% (without block"
            f" {row.blocks[one.low_without]}) to {_whole(one.high_percent)}% (without block"
            f" {row.blocks[one.high_without]})"
        )
        parts += [
            f"without block {row.blocks[out]} the verdict would be '{other}'"
            for out, other in one.other_verdicts
        ]
    if drift is not None:
        parts.append(
            f"candidate / baseline changes by {drift.change_percent_per_block:+.1f}% per block"
            f" (p = {drift.trend_p:.2g}), lag-1 autocorrelation {drift.autocorrelation:+.2f}"
            f" (p = {drift.autocorrelation_p:.2g})"
        )
        if drift.is_found:
            parts.append(
                "THE DIFFERENCE DRIFTS from block to block, and the interval, which takes blocks for"
                " independent, is too narrow"
            )
        elif not drift.can_be_found:
            parts.append(
                f"{drift.blocks} blocks cannot show a drift: the smallest p they can give is"
                f" {drift.smallest_p:.2g}"
            )
        else:
            parts.append(
                f"no drift found; {drift.blocks} blocks notice only a strong one"
                if drift.blocks < MANY_BLOCKS
                else "no drift found"
            )
    return "; ".join(parts)


def gaps(comparison: Comparison) -> list[str]:
    """A sentence for each kind of block that does not count, each once."""
    rows = (row for table in comparison.tables for row in table.rows)
    return list(dict.fromkeys(f"{row.scenario}: {gap}; not counted." for row in rows for gap in row.left_out))


def with_width(mean: Mean, unit: str) -> str:
    """``184 ± 3 Mbit/s``, with the half width of the 95% interval where there are several values."""
    places = 0 if abs(mean.value) >= 100 else 1
    half = "" if mean.half_width is None else f" ± {mean.half_width:.{places}f}"
    return f"{mean.value:.{places}f}{half} {unit}".replace(" %", "%")


def number(value: float | None, unit: str) -> str:
    """A metric with its unit, to three figures or so."""
    if value is None:
        return ""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".strip().replace(" %", "%")


def bottleneck(arm: Arm) -> tuple[str, str, str, str]:
    """An arm's bottleneck, for how long it was busy, the time measured, and its utilisation: means over
    trials.

    The bottleneck is that of most trials.
    """
    known = bottlenecks(arm)
    if not known:
        return ("unknown", "", "", "")
    resources = [each.busiest.resource for each in known]
    most = max(dict.fromkeys(resources), key=resources.count)
    like = [each for each in known if each.busiest.resource == most]
    busy = sum(each.busiest.busy_s for each in like) / len(like)
    measured = sum(each.measured_s for each in like) / len(like)
    name = f"{most}: {like[0].busiest.where}"
    if len(like) < len(known):
        name += f" (in {len(like)} of {len(known)} trials)"
    utilisation = sum(each.utilisation for each in like) / len(like)
    return (
        name,
        f"{busy:.{decimals(busy)}f} s",
        f"{measured:.{decimals(measured)}f} s",
        f"{100 * utilisation:.0f}%",
    )


def bottlenecks(arm: Arm) -> list[Bottleneck]:
    """The bottleneck of each of an arm's trials, as far as they are known."""
    return [point.bottleneck for point in arm.points if point.bottleneck is not None]


def busy(known: list[Bottleneck], resource: str) -> str:
    """For how long one resource was busy, mean over trials; empty if it is not known."""
    found = [one.busy_s for each in known for one in each.resources if one.resource == resource]
    if not found:
        return ""
    value = sum(found) / len(found)
    return f"{value:.{decimals(value)}f} s"
