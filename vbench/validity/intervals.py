"""Arithmetic on intervals of time."""

from collections.abc import Iterable, Sequence

from vbench.record import SpanLine

Interval = tuple[float, float]


def covered_s(spans: Iterable[SpanLine]) -> float:
    """Seconds in which at least one of the spans was under way."""
    total_s, end_s = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.start_s):
        total_s += max(0.0, span.end_s - max(end_s, span.start_s))
        end_s = max(end_s, span.end_s)
    return total_s


def most_at_once(intervals: Sequence[Interval], tolerance_s: float = 0.0) -> int:
    """The most intervals that lie over each other at any moment, each shortened by ``tolerance_s``."""
    edges = [(start, 1) for start, end in intervals if end - start > tolerance_s]
    edges += [(end - tolerance_s, -1) for start, end in intervals if end - start > tolerance_s]
    most = now = 0
    for _, step in sorted(edges):  # at one moment, ends before starts
        now += step
        most = max(most, now)
    return most
