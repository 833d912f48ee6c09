"""Whether the machine was as fast after the trial as before it, by the same fixed work."""

from collections.abc import Iterator, Sequence

from vbench.record import Harness, Rule, Speed, Trial
from vbench.schema import LoadConfig

APART_PERCENT = 15.0
"""Trials whose machine's speed differs by more are said to: their latencies differ for that alone."""

NAME = "the machine kept its speed"


def change_percent(before: Speed, after: Speed) -> float:
    """The larger change of both figures, in percent of the faster; below 0 if the machine became slower."""
    pairs = ((before.single_per_s, after.single_per_s), (before.all_per_s, after.all_per_s))
    changes = [100 * (now - then) / max(now, then) if max(now, then) > 0 else -100.0 for then, now in pairs]
    return max(changes, key=abs)


def differs(before: Speed, after: Speed, percent: float) -> bool:
    """Whether one of the figures changed by more than ``percent``."""
    return abs(change_percent(before, after)) > percent


def judge(load: LoadConfig, harness: Harness | None) -> Iterator[Rule]:
    """The rule; none for a cluster that is elsewhere, and for a record of before speed was measured."""
    if harness is None or harness.speed_before is None:
        return
    before, after = harness.speed_before, harness.speed_after
    if after is None:
        yield Rule(
            name=NAME,
            holds=False,
            found="the speed after the trial was not measured",
            remedy="run the trial again",
        )
        return
    change = change_percent(before, after)
    yield Rule(
        name=NAME,
        holds=not differs(before, after, load.max_speed_change_percent),
        found=(
            f"{change:+.1f}% from before the trial to after it (one process {before.single_per_s:.0f} then"
            f" {after.single_per_s:.0f} units/s, {after.processes} processes {before.all_per_s:.0f} then"
            f" {after.all_per_s:.0f}), bound {load.max_speed_change_percent:g}%"
        ),
        remedy=(
            "see what slows the machine (its temperature, its power plan, a quota, other virtual"
            " machines) and run"
            " again; load.max_speed_change_percent is the bound"
        ),
    )


def apart(trials: Sequence[Trial]) -> list[str]:
    """A sentence if these trials' machine was not equally fast, naming the slowest and the fastest."""
    seen = [
        (min(speed.all_per_s for speed in both), trial.arm, trial.block)
        for trial in trials
        if trial.harness
        and (both := [s for s in (trial.harness.speed_before, trial.harness.speed_after) if s])
    ]
    if len(seen) < 2:
        return []
    (slow, slow_arm, slow_block), (fast, fast_arm, fast_block) = min(seen), max(seen)
    percent = 100 * (fast - slow) / fast if fast > 0 else 0.0
    if percent <= APART_PERCENT:
        return []
    return [
        f"The machine's speed differed by {percent:.0f}% between trials (slowest: {slow_arm}, block"
        f" {slow_block + 1}; fastest: {fast_arm}, block {fast_block + 1}): a part of any difference can"
        " be the"
        " machine's."
    ]
