"""Tests whether the difference between two arms changes from block to block, which the interval excludes."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANCE = 0.05
"""Below this p, a trend or an autocorrelation is reported."""

EXACT_BLOCKS = 7
"""Up to this number of blocks, all orders are counted (7! = 5,040); beyond it, ``DRAWS`` random ones."""

DRAWS = 4000
SEED = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Permutation tests of the blocks' paired log ratios against their running order."""

    blocks: int
    change_percent_per_block: float
    """Least-squares slope of log(candidate / baseline) over the block's number, as percent: positive if the
    candidate gets slower in comparison with the baseline."""
    trend_p: float
    """Share of all orders of the same values whose slope is at least as steep, up or down."""
    autocorrelation: float
    """Of neighbouring blocks (lag 1): about -1 / blocks for independent ones."""
    autocorrelation_p: float
    """Share of all orders whose neighbours are at least as alike."""
    smallest_p: float
    """The smallest possible ``trend_p`` for this number of blocks: above 0.05, the test cannot find
    anything."""

    @property
    def is_found(self) -> bool:
        """Whether either test rejects that the blocks are exchangeable; 1 in 10 does so by chance."""
        return self.trend_p <= SIGNIFICANCE or self.autocorrelation_p <= SIGNIFICANCE

    @property
    def can_be_found(self) -> bool:
        """Whether there are enough blocks (five) for the trend test to reject anything."""
        return self.smallest_p <= SIGNIFICANCE


def drift(logs: Sequence[float]) -> Drift | None:
    """Tests for a linear trend and for lag-1 autocorrelation; ``logs`` in running order of the blocks.

    Both are permutation tests: exact up to 7 blocks, by 4,000 random orders (seeded) beyond. None for fewer
    than three blocks, and for values that are all equal: they have no order.
    """
    import numpy as np

    n = len(logs)
    values = np.asarray(logs, dtype=float) - math.fsum(logs) / n if n else np.empty(0)
    square = float(values @ values)
    if n < 3 or square < 1e-24:
        return None
    orders = _orders(n)
    every = values[orders]
    steps = np.arange(n) - (n - 1) / 2
    slopes = every @ steps / float(steps @ steps)
    alike = (every[:, :-1] * every[:, 1:]).sum(axis=1) / square
    slope, likeness = float(slopes[0]), float(alike[0])
    least = 2 / math.factorial(n) if n <= EXACT_BLOCKS else 1 / len(orders)
    return Drift(
        blocks=n,
        change_percent_per_block=100 * (math.exp(min(slope, 700.0)) - 1),
        # Orders that differ only in rounding count as equal.
        trend_p=float(np.mean(np.abs(slopes) >= abs(slope) * (1 - 1e-9))),
        autocorrelation=likeness,
        autocorrelation_p=float(np.mean(alike >= likeness - 1e-9)),
        smallest_p=least,
    )


@functools.cache
def _orders(n: int):  # type: ignore[no-untyped-def]
    """(orders, n) indices, the order as it was first."""
    import numpy as np

    if n <= EXACT_BLOCKS:
        return np.array(list(itertools.permutations(range(n))))
    draw = np.random.default_rng(SEED)
    return np.vstack([np.arange(n), *(draw.permutation(n) for _ in range(DRAWS - 1))])
