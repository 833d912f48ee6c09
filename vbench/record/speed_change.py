"""How much a machine's speed changed."""

from vbench.record.harness import Speed

ANY_PERCENT = 100.0
"""A change cannot be larger: with such a bound nothing is measured."""


def is_bounded(percent: float) -> bool:
    """Whether a change could break the rule."""
    return percent < ANY_PERCENT


def change_percent(before: Speed, after: Speed) -> float:
    """The larger change of both figures, in percent of the faster; below 0 if the machine became slower."""
    pairs = ((before.single_per_s, after.single_per_s), (before.all_per_s, after.all_per_s))
    changes = [100 * (now - then) / max(now, then) if max(now, then) > 0 else -100.0 for then, now in pairs]
    return max(changes, key=abs)


def differs(before: Speed, after: Speed, percent: float) -> bool:
    """Whether one of the figures changed by more than ``percent``."""
    return abs(change_percent(before, after)) > percent
