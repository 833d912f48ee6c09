"""Whether the machine was as fast after the trial as before it, for the same fixed work."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from vbench.config.schema import LoadConfig
from vbench.record.harness import Harness, Speed
from vbench.record.load_report import LoadReport
from vbench.record.speed_change import change_percent, differs
from vbench.record.trial import Rule, Trial
from vbench.validity.catalog.machine import SPEED_KEPT

APART_PERCENT = 15.0
"""If a machine's speed differs by more between trials, their latencies differ for that reason alone."""


def judge(load: LoadConfig, harness: Harness | None, load_report: LoadReport) -> Iterator[Rule]:
    """The rule, for the machine whose speed changed most; none if no speed was measured because the change is
    not bounded or the record is older."""
    if harness is not None and harness.speed_before is not None and harness.speed_after is None:
        yield SPEED_KEPT.verdict(
            passed=False,
            observed="the speed after the trial was not measured",
            remedy="run the trial again",
        )
        return
    measured = _measured(harness, load_report)
    if not measured:
        return
    machine, before, after = max(measured, key=lambda one: abs(change_percent(*one[1:])))
    where = f"{machine}: " if machine else ""
    yield SPEED_KEPT.verdict(
        passed=not differs(before, after, load.max_speed_change_percent),
        observed=(
            f"{where}{change_percent(before, after):+.1f}% from before the trial to after it (one process"
            f" {before.single_per_s:.0f} then {after.single_per_s:.0f} units/s, {after.processes} processes"
            f" {before.all_per_s:.0f} then {after.all_per_s:.0f}{_tries(after)}), limit"
            f" {load.max_speed_change_percent:g}%"
        ),
    )


def _tries(speed: Speed) -> str:
    """How often the speed was measured, if more than once, as text."""
    return f", best of {speed.tries}" if speed.tries > 1 else ""


def _measured(harness: Harness | None, load_report: LoadReport | None) -> list[tuple[str, Speed, Speed]]:
    """(machine, before, after); the harness's own machine has no name."""
    speeds = [
        (machine, one.before, one.after)
        for machine, one in (load_report.speeds if load_report else {}).items()
    ]
    if harness is not None and harness.speed_before is not None and harness.speed_after is not None:
        speeds.append(("", harness.speed_before, harness.speed_after))
    return speeds


def caveats(trials: Sequence[Trial]) -> list[str]:
    """A sentence per machine that was not equally fast in all of these trials, with the slowest and the
    fastest."""
    seen: dict[str, list[tuple[float, str, int]]] = defaultdict(list)
    for trial in trials:
        for machine, before, after in _measured(trial.harness, trial.load_report):
            seen[machine].append((min(before.all_per_s, after.all_per_s), trial.arm, trial.block))
    return [note for machine, of_trials in seen.items() for note in _differing(machine, of_trials)]


def _differing(machine: str, seen: Sequence[tuple[float, str, int]]) -> list[str]:
    """``seen``: speed, arm and block of each trial."""
    (slow, slow_arm, slow_block), (fast, fast_arm, fast_block) = min(seen), max(seen)
    percent = 100 * (fast - slow) / fast if fast > 0 else 0.0
    if percent <= APART_PERCENT:
        return []
    whose = f"The speed of the machine of {machine}" if machine else "The machine's speed"
    return [
        f"{whose} differed by {percent:.0f}% between trials (slowest: {slow_arm}, block {slow_block + 1};"
        f" fastest: {fast_arm}, block {fast_block + 1}), which may explain a part of any difference."
    ]
