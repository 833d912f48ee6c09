"""Power of the paired t tests over blocks, and how many blocks a wanted power takes.

The difference test is two-sided. Equivalence is shown by two one-sided tests (Schuirmann 1987): that the
effect is above the lower and that it is below the upper bound. Both are exact for normal noise: by the
noncentral t distribution, and for equivalence by an integral over the observed spread (Owen 1965).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

SIGNIFICANCE = 0.05
"""Level of a verdict."""

POWER = 0.8
"""Probability with which a plan wants to decide."""

MOST_BLOCKS = 1000
"""A study that needs more blocks than this is not recommended."""

STEPS = 500
"""Points of the integral over the observed spread: accurate to four digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of equivalence on the log scale of candidate / baseline."""

    low: float
    high: float


def equivalence_bounds(percent: float) -> Bounds:
    """A latency that is at most this many percent lower or higher counts as equivalent; 0 < percent < 100."""
    return Bounds(low=math.log1p(-percent / 100), high=math.log1p(percent / 100))


def difference_power(effect: float, standard_error: float, degrees: int, level: float) -> float:
    """Probability that a two-sided t test at ``level`` finds a true ``effect``, in the unit of the true
    ``standard_error`` of its estimate."""
    if standard_error <= 0:
        return 1.0 if effect else level
    from scipy.stats import nct, t

    critical = t.isf(level / 2, degrees)
    shift = abs(effect) / standard_error
    found = nct.sf(critical, degrees, shift) + nct.cdf(-critical, degrees, shift)
    return min(1.0, float(found)) if math.isfinite(found) else 1.0


def equivalence_power(
    effect: float, standard_error: float, degrees: int, level: float, bounds: Bounds
) -> float:
    """Probability that two one-sided t tests at ``level`` show equivalence for a true ``effect``."""
    if standard_error <= 0:
        return 1.0 if bounds.low < effect < bounds.high else 0.0
    import numpy as np
    from scipy.stats import chi2, norm, t

    quantiles = (np.arange(STEPS) + 0.5) / STEPS
    observed = standard_error * np.sqrt(chi2.ppf(quantiles, degrees) / degrees)
    margin = t.isf(level, degrees) * observed
    held = norm.cdf((bounds.high - margin - effect) / standard_error)
    held -= norm.cdf((bounds.low + margin - effect) / standard_error)
    return float(np.clip(held, 0, None).mean())


def blocks_to_detect(effect: float, spread: float, level: float, power: float = POWER) -> int | None:
    """The fewest blocks that find a true ``effect`` on the log scale with this power, if the log ratios of
    blocks have this standard deviation; None for more than 1000."""
    return _fewest(
        lambda blocks: difference_power(effect, spread / math.sqrt(blocks), blocks - 1, level), power
    )


def blocks_for_equivalence(
    effect: float, spread: float, level: float, bounds: Bounds, power: float = POWER
) -> int | None:
    """The fewest blocks that show equivalence for a true ``effect`` with this power; None for more than
    1000."""
    return _fewest(
        lambda blocks: equivalence_power(effect, spread / math.sqrt(blocks), blocks - 1, level, bounds),
        power,
    )


def _fewest(power_of: Callable[[int], float], power: float) -> int | None:
    """The fewest blocks, from 2, with this power, which grows with them."""
    if power_of(MOST_BLOCKS) < power:
        return None
    low, high = 1, MOST_BLOCKS
    while high - low > 1:
        middle = (low + high) // 2
        if power_of(middle) >= power:
            high = middle
        else:
            low = middle
    return high
