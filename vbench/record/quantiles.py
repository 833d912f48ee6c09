"""Quantiles of a trial's requests, each with a distribution-free interval from order statistics.

Of n values, the number below the true quantile q is binomial with n and q, whatever their distribution. So
two ranks say how often the values at these ranks enclose the true quantile (David and Nagaraja, Order
Statistics, section 7.1; ``scipy.stats.quantile_test`` gives the same interval). This assumes that the values
are independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95

TAIL = (1 - CONFIDENCE) / 2
"""Probability at most with which the true quantile lies beyond either end."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}
"""Name within a metric's -> percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A quantile of some values, in their unit."""

    value: float
    """Interpolated linearly between the closest ranks (Hyndman and Fan 1996, type 7)."""
    low: float
    """Lower end of the 95% interval: one of the values."""
    high: float
    """Upper end of it."""


def ranks(n: int, percent: float) -> tuple[int, int] | None:
    """Ranks, from 1, of the values that enclose the quantile in at least 95% of cases; None for too few.

    The lower is the highest rank whose value exceeds the true quantile with a probability of at most 2.5%;
    the upper is the lowest rank whose value is below it as rarely.
    """
    from scipy.special import bdtr, bdtrc

    count = range(n + 1)
    q = percent / 100
    below = bdtr(count, n, q)  # P(at most this many values are below the quantile)
    above = bdtrc(count, n, q)  # P(more than this many)
    low = int((below <= TAIL).sum())
    high = n + 2 - int((above <= TAIL).sum())
    return (low, high) if low >= 1 and high <= n else None


def requests_needed(percent: float) -> int:
    """The fewest values that have an interval: 6 for the median, 36 for p90, 368 for p99.

    The highest of n values is below the quantile q with a probability of q^n, and the lowest above it with
    (1 - q)^n.
    """
    q = percent / 100
    return math.ceil(math.log(TAIL) / math.log(max(q, 1 - q)))


def quantile(values: Sequence[float], percent: float) -> Quantile | None:
    """A quantile with its 95% interval; None if these are too few values for one."""
    if len(values) < requests_needed(percent):
        return None
    ends = ranks(len(values), percent)
    if ends is None:
        return None
    ordered = sorted(values)
    return Quantile(value=percentile(ordered, percent), low=ordered[ends[0] - 1], high=ordered[ends[1] - 1])


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear interpolation between the closest ranks (Hyndman and Fan 1996, type 7: numpy's default)."""
    import numpy as np  # 0.1 s, which no command that measures nothing should take

    return float(np.percentile(values, percent))


def quantile_metrics(what: str, values_s: Sequence[float]) -> dict[str, float]:
    """Metrics of what is ``latency`` or ``first_byte``: each quantile that these values support, and its
    interval: ``latency_p90_s``, ``latency_p90_low_s``, ``latency_p90_high_s``."""
    metrics: dict[str, float] = {}
    for name, percent in PERCENTILES.items():
        found = quantile(values_s, percent)
        if found is not None:
            metrics[f"{what}_{name}_s"] = found.value
            metrics[f"{what}_{name}_low_s"] = found.low
            metrics[f"{what}_{name}_high_s"] = found.high
    return metrics


def supported(metric: str, requests: float) -> bool:
    """Whether a metric may be shown for this number of requests: all except quantiles that need more, which
    older records have."""
    percent = next((PERCENTILES[part] for part in metric.split("_") if part in PERCENTILES), None)
    return percent is None or requests >= requests_needed(percent)
