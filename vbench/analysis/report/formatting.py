"""Numbers of a comparison as text, the same on the terminal and in Markdown."""

from collections.abc import Sequence

from vbench.analysis.power import MOST_BLOCKS
from vbench.analysis.results import Arm, Comparison, TableRow
from vbench.analysis.statistics import Improvement, Mean
from vbench.record.bottleneck import Bottleneck

FACTS = (
    ("transfer_mbps", "object transfer", "Mbit/s"),
    ("transfer_mb_per_request", "bytes that had to move between nodes, per request", "MB"),
    ("wire_mb_per_request", "bytes sent by all nodes, per request", "MB"),
    ("payload_crossings", "times that the frames' bytes were on the wire", ""),
    ("sent_over_needed", "bytes sent / bytes that had to move", ""),
    ("link_queued_percent", "bytes sent while packets waited in a link's queue", "%"),
    ("link_dropped_packets", "packets dropped by a link's queue", ""),
    ("cpu_while_moving_percent", "CPU utilisation while bytes moved", "%"),
    ("cpu_saturated_percent", "bytes that moved while the CPUs were saturated", "%"),
    ("cpu_busy_percent", "CPU utilisation", "%"),
    ("gpu_busy_percent", "GPU utilisation", "%"),
    ("gpu_energy_j_per_request", "GPU energy per request", "J"),
    ("throughput_video_s_per_s", "video processed", "s/s"),
    ("first_byte_mean_s", "first byte of a response, mean", "s"),
)
"""Metrics other than latency: name, what it is, unit. Shown if all trials of an arm have it."""

PHASES = (
    ("cluster", "start"),
    ("link_check", "link check"),
    ("connect", "connect"),
    ("deploy", "deploy"),
    ("warm_up", "warm-up"),
    ("settle", "idle links before"),
    ("measure", "measure"),
    ("drain", "idle links after"),
    ("stop", "stop"),
)
"""Phases of a trial from the cluster's start to its end: name, what it is."""

DRIFTS = (
    "THE DIFFERENCE DRIFTS from block to block. The interval assumes independent blocks, so it is too narrow"
)

HARNESS = "harness_s"
"""Metric: the seconds of a trial that are the harness's own."""

MANY_BLOCKS = 20
"""With fewer, the tests notice only a strong drift (experiments/interval_coverage)."""

NO_BLOCK = "no block with both"

SECONDARY = {
    "latency_mean_first_half_s": "mean latency of the first half of the requests",
    "latency_mean_second_half_s": "mean latency of the second half",
    "steady_latency_mean_s": "mean latency while all slots were busy",
    "steady_s_per_request": "seconds per request in that time (1 / throughput)",
    "makespan_s": "makespan",
}
"""What is compared in addition to the mean latency: metric -> what it is."""


def seconds(mean: Mean | None) -> str:
    """``66.1 ± 1.8 s``, with the half-width of the 95% interval if there are several blocks."""
    if mean is None:
        return ""
    places = decimals(mean.value)
    if mean.half_width is None:
        return f"{mean.value:.{places}f} s"
    return f"{mean.value:.{places}f} ± {mean.half_width:.{places}f} s"


def decimals(value_s: float) -> int:
    """Decimal places of a time: three significant figures for short ones, one place for long ones."""
    return 1 if value_s >= 10 else 2 if value_s >= 1 else 3


def row_cells(row: TableRow) -> tuple[str, str, str, str, str]:
    """Scenario, latency of candidate and baseline, improvement, and blocks or trials: what each table of two
    arms begins with."""
    value = row.improvement
    return (
        row.scenario,
        seconds(row.candidate),
        seconds(row.baseline),
        percent(value),
        str(value.blocks if value else 0),
    )


def percent(value: Improvement | None) -> str:
    """``26% [22%, 30%]``: how much lower the latency is, with its interval."""
    if value is None:
        return NO_BLOCK
    text = f"{_rounded(value.percent)}%"
    if value.low_percent is None or value.high_percent is None:
        return text
    return f"{text} [{_rounded(value.low_percent)}%, {_rounded(value.high_percent)}%]"


def _rounded(number: float) -> str:
    if number < -999:
        return "<-999"
    return f"{number:.1f}".replace("-0.0", "0.0") if abs(number) < 10 else f"{number:.0f}"


def precision(value: Improvement | None, *, is_paired: bool = True) -> str:
    """How many blocks a narrower interval needs; empty if it is narrow enough, or unknown.

    ``is_paired``: whether a new sweep would have both arms.
    """
    if value is None or value.half_width_points is None or value.half_width_points <= value.wanted_points:
        return ""
    width = f"±{_rounded(min(value.half_width_points, 1000))} points"
    if not value.blocks_for_precision:
        return (
            f"The interval is {width}. ±{value.wanted_points:g} points would take more than {MOST_BLOCKS}"
            " blocks, by the spread so far"
        )
    blocks = value.blocks_for_precision
    if not is_paired:
        return (
            f"The interval is {width}. For ±{value.wanted_points:g} points, measure both sweeps with"
            f" blocks={blocks} (by the spread so far), and save the baseline again"
        )
    return (
        f"The interval is {width}. For ±{value.wanted_points:g} points, run a new sweep with"
        f" blocks={blocks} (by the spread so far) and judge it on its own"
    )


def stability(row: TableRow) -> list[str]:
    """Sentences: how much depends on one block, and whether the difference drifts; none for fewer than three
    blocks."""
    return [f"{text}." for text in (*_leave_one_out(row), *_drift(row))]


def _leave_one_out(row: TableRow) -> list[str]:
    one = row.leave_one_out
    if one is None:
        return []
    sentences = [
        f"Leaving out any one block, the improvement is {_rounded(one.low_percent)}% (without block"
        f" {row.blocks[one.low_without]}) to {_rounded(one.high_percent)}% (without block"
        f" {row.blocks[one.high_without]})"
    ]
    return sentences + [
        f"Without block {row.blocks[other.without]}, the verdict would be '{other.verdict}'"
        for other in one.other_verdicts
    ]


def _drift(row: TableRow) -> list[str]:
    drift = row.drift
    if drift is None:
        return []
    if drift.is_found:
        conclusion = DRIFTS
    elif not drift.can_be_found:
        conclusion = f"{drift.blocks} blocks are too few to show a drift (the smallest possible p is"
        conclusion += f" {drift.smallest_p:.2g})"
    elif drift.blocks < MANY_BLOCKS:
        conclusion = f"No drift found, but {drift.blocks} blocks would show only a strong one"
    else:
        conclusion = "No drift found"
    return [
        f"candidate / baseline changes by {drift.change_percent_per_block:+.1f}% per block"
        f" (p = {drift.trend_p:.2g}); lag-1 autocorrelation {drift.autocorrelation:+.2f}"
        f" (p = {drift.autocorrelation_p:.2g})",
        conclusion,
    ]


def quantiles(row: TableRow) -> str:
    """The improvement in each quantile, and how many requests the others need; empty if none is known."""
    texts = []
    for one in row.quantiles:
        name = one.metric.split("_")[1]
        if one.improvement is None:
            texts.append(f"{name} needs {one.requests_needed} requests per trial (n = {one.requests})")
        else:
            texts.append(f"{name} {percent(one.improvement)}")
    return f"Quantiles of the latency: {', '.join(texts)}." if texts else ""


def uncounted(comparison: Comparison) -> list[str]:
    """A sentence per kind of block that does not count, each once."""
    rows = (row for table in comparison.tables for row in table.rows)
    return list(
        dict.fromkeys(f"{row.scenario}: not counted: {gap}." for row in rows for gap in row.uncounted)
    )


def with_width(mean: Mean, unit: str) -> str:
    """``184 ± 3 Mbit/s``, with the half-width of the 95% interval if there are several values."""
    places = 0 if abs(mean.value) >= 100 else 1
    half = "" if mean.half_width is None else f" ± {mean.half_width:.{places}f}"
    return f"{mean.value:.{places}f}{half} {unit}".replace(" %", "%")


def number(value: float | None, unit: str) -> str:
    """A metric with its unit, to about three significant figures."""
    if value is None:
        return ""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".strip().replace(" %", "%")


def bottleneck(arm: Arm) -> tuple[str, str, str, str]:
    """An arm's bottleneck, how long it was busy, the time measured, and its utilisation: means over its
    trials.

    The bottleneck is that of most trials.
    """
    known = bottlenecks(arm)
    if not known:
        return ("unknown", "", "", "")
    resources = [of_trial.busiest.resource for of_trial in known]
    most = max(dict.fromkeys(resources), key=resources.count)
    like = [of_trial for of_trial in known if of_trial.busiest.resource == most]
    busy_s = sum(of_trial.busiest.busy_s for of_trial in like) / len(like)
    measured_s = sum(of_trial.measured_s for of_trial in like) / len(like)
    name = like[0].busiest.text
    if len(like) < len(known):
        name += f", in {len(like)} of {len(known)} trials"
    utilisation = sum(of_trial.utilisation for of_trial in like) / len(like)
    return (
        name,
        f"{busy_s:.{decimals(busy_s)}f} s",
        f"{measured_s:.{decimals(measured_s)}f} s",
        f"{100 * utilisation:.0f}%",
    )


def bottlenecks(arm: Arm) -> list[Bottleneck]:
    """The bottleneck of each of an arm's trials, as far as they are known."""
    return [trial.bottleneck for trial in arm.trials if trial.bottleneck is not None]


def busy(known: Sequence[Bottleneck], resource: str) -> str:
    """How long one resource was busy, mean over trials; empty if that is unknown."""
    times = [one.busy_s for of_trial in known for one in of_trial.resources if one.resource == resource]
    if not times:
        return ""
    value = sum(times) / len(times)
    return f"{value:.{decimals(value)}f} s"
