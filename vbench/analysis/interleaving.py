"""Whether the trials of each block ran side by side in time, which pairing them takes for granted."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from vbench.record.types import Trial

APART_S = 3 * 3600.0
"""A machine that rested for so long between two trials of a block may be another one in speed."""


def notes(trials: Sequence[Trial]) -> list[str]:
    """A sentence for each block of one sweep whose trials did not run one after the other: trials of another
    block ran between them, as where ``resume`` runs again what had failed, or hours passed."""
    found: list[str] = []
    for number in sorted({trial.block for trial in trials}):
        own = sorted((trial for trial in trials if trial.block == number), key=_start_s)
        others = [trial for trial in trials if trial.block != number]
        found += _broken_up(own, others)
        found += _apart(own)
    return found


def _broken_up(own: Sequence[Trial], others: Sequence[Trial]) -> Iterator[str]:
    between = [trial for trial in others if _start_s(own[0]) < _start_s(trial) < _start_s(own[-1])]
    if not between:
        return
    first = min(between, key=_start_s)
    late = [trial for trial in own if _start_s(trial) > _start_s(first)]
    yield (
        f"Block {own[0].block + 1} is broken up: {_names(late)} of it ran after block {first.block + 1} had"
        f" begun, so that what changed on the machine in between stands between its arms."
    )


def _apart(own: Sequence[Trial]) -> Iterator[str]:
    for one, other in pairwise(own):
        rest_s = _start_s(other) - _start_s(one) - sum(one.phases_s.values())
        if rest_s > APART_S:
            yield (
                f"Block {own[0].block + 1} has a gap: {rest_s / 3600:.1f} hours passed between"
                f" {_names([one])} and {_names([other])} of it, in which the machine may have changed."
            )


def _names(trials: Sequence[Trial]) -> str:
    names = ", ".join(Path(trial.folder).name or trial.trial_id for trial in trials)
    return f"trial{'s' if len(trials) > 1 else ''} {names}"


def _start_s(trial: Trial) -> float:
    return datetime.fromisoformat(trial.started).timestamp()
