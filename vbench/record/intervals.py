"""Arithmetic on intervals of time."""

from collections.abc import Iterable, Sequence

from vbench.record.requests import SpanLine

Interval = tuple[float, float]
"""Seconds, from and to."""


def length_s(intervals: Iterable[Interval]) -> float:
    """Seconds of all the intervals; what several cover counts for each."""
    return sum(end - start for start, end in intervals)


def covered_s(spans: Iterable[SpanLine]) -> float:
    """Seconds in which at least one of the spans was under way."""
    return length_s(merged((span.start_s, span.end_s) for span in spans))


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The disjoint intervals that these cover together, in order."""
    union: list[Interval] = []
    for start, end in sorted(intervals):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        elif end > start:
            union.append((start, end))
    return union


def most_at_once(intervals: Sequence[Interval], tolerance_s: float = 0.0) -> int:
    """The most intervals that overlap at any moment, each shortened by ``tolerance_s``."""
    edges = [(start, 1) for start, end in intervals if end - start > tolerance_s]
    edges += [(end - tolerance_s, -1) for start, end in intervals if end - start > tolerance_s]
    most = now = 0
    for _, step in sorted(edges):  # at one moment, ends before starts
        now += step
        most = max(most, now)
    return most
