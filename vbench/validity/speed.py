"""Whether the machine was as fast after the trial as before it, by the same fixed work."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from vbench.config.schema import LoadConfig
from vbench.record.speed_change import change_percent, differs
from vbench.record.types import Harness, Observed, Rule, Speed, Trial

APART_PERCENT = 15.0
"""Trials whose machine's speed differs by more are said to: their latencies differ for that alone."""

NAME = "the machine kept its speed"


def judge(load: LoadConfig, harness: Harness | None, observed: Observed) -> Iterator[Rule]:
    """The rule, about the machine whose speed changed most; none where no speed was measured: an unbounded
    change, or a record of before."""
    if harness is not None and harness.speed_before is not None and harness.speed_after is None:
        yield Rule(
            name=NAME,
            holds=False,
            found="the speed after the trial was not measured",
            remedy="run the trial again",
        )
        return
    measured = _measured(harness, observed)
    if not measured:
        return
    machine, before, after = max(measured, key=lambda one: abs(change_percent(*one[1:])))
    where = f"{machine}: " if machine else ""
    yield Rule(
        name=NAME,
        holds=not differs(before, after, load.max_speed_change_percent),
        found=(
            f"{where}{change_percent(before, after):+.1f}% from before the trial to after it (one process"
            f" {before.single_per_s:.0f} then {after.single_per_s:.0f} units/s, {after.processes} processes"
            f" {before.all_per_s:.0f} then {after.all_per_s:.0f}), bound {load.max_speed_change_percent:g}%"
        ),
        remedy=(
            "see what slows the machine (its temperature, its power plan, a quota, other virtual"
            " machines) and run"
            " again; load.max_speed_change_percent is the bound"
        ),
    )


def _measured(harness: Harness | None, observed: Observed | None) -> list[tuple[str, Speed, Speed]]:
    """(machine, before, after); the harness's own machine has no name."""
    found = [
        (machine, one.before, one.after) for machine, one in (observed.speeds if observed else {}).items()
    ]
    if harness is not None and harness.speed_before is not None and harness.speed_after is not None:
        found.append(("", harness.speed_before, harness.speed_after))
    return found


def apart(trials: Sequence[Trial]) -> list[str]:
    """A sentence if a machine of these trials was not equally fast in all, naming the slowest and fastest."""
    seen: dict[str, list[tuple[float, str, int]]] = defaultdict(list)
    for trial in trials:
        for machine, before, after in _measured(trial.harness, trial.observed):
            seen[machine].append((min(before.all_per_s, after.all_per_s), trial.arm, trial.block))
    return [note for machine, of_trials in seen.items() for note in _apart(machine, of_trials)]


def _apart(machine: str, seen: Sequence[tuple[float, str, int]]) -> list[str]:
    """``seen``: speed, arm and block of each trial."""
    (slow, slow_arm, slow_block), (fast, fast_arm, fast_block) = min(seen), max(seen)
    percent = 100 * (fast - slow) / fast if fast > 0 else 0.0
    if percent <= APART_PERCENT:
        return []
    whose = f"The speed of the machine of {machine}" if machine else "The machine's speed"
    return [
        f"{whose} differed by {percent:.0f}% between trials (slowest: {slow_arm}, block {slow_block + 1};"
        f" fastest: {fast_arm}, block {fast_block + 1}): a part of any difference can be the machine's."
    ]
