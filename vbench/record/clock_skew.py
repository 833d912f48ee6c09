"""How far the clocks of a cluster's nodes may be apart."""

from collections.abc import Mapping

MOST_APART_S = 0.02
"""Clocks that are kept by NTP in one network differ by a millisecond or two; a transfer takes hundreds."""


def apart_s(off_s: Mapping[str, float]) -> float:
    """Between the fastest clock and the slowest, in s; ``off_s``: node -> how far its clock is ahead."""
    return max(off_s.values()) - min(off_s.values()) if off_s else 0.0
