"""Whether the trials of each block ran one after another, as pairing them assumes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from vbench.record.trial import Trial

APART_S = 3 * 3600.0
"""After a pause of this length within a block, the machine may have another speed."""


def notes(trials: Sequence[Trial]) -> list[str]:
    """A sentence per block of one sweep whose trials did not run one after another.

    Trials of another block ran between them, for example when ``resume`` repeats failed trials, or hours
    passed.
    """
    sentences: list[str] = []
    for number in sorted({trial.block for trial in trials}):
        own = sorted((trial for trial in trials if trial.block == number), key=_start_s)
        others = [trial for trial in trials if trial.block != number]
        sentences += _broken_up(own, others)
        sentences += _apart(own)
    return sentences


def _broken_up(own: Sequence[Trial], others: Sequence[Trial]) -> Iterator[str]:
    between = [trial for trial in others if _start_s(own[0]) < _start_s(trial) < _start_s(own[-1])]
    if not between:
        return
    first = min(between, key=_start_s)
    late = [trial for trial in own if _start_s(trial) > _start_s(first)]
    yield (
        f"Block {own[0].block + 1} was interrupted: its {_names(late)} ran after block {first.block + 1} had"
        f" started. Changes of the machine in between affect its arms differently."
    )


def _apart(own: Sequence[Trial]) -> Iterator[str]:
    for one, other in pairwise(own):
        rest_s = _start_s(other) - _start_s(one) - sum(one.phases_s.values())
        if rest_s > APART_S:
            yield (
                f"Block {own[0].block + 1} has a gap: {rest_s / 3600:.1f} hours passed between its"
                f" {_names([one])} and {_names([other])}, in which the machine may have changed."
            )


def _names(trials: Sequence[Trial]) -> str:
    names = ", ".join(Path(trial.folder).name or trial.trial_id for trial in trials)
    return f"trial{'s' if len(trials) > 1 else ''} {names}"


def _start_s(trial: Trial) -> float:
    return datetime.fromisoformat(trial.started).timestamp()
