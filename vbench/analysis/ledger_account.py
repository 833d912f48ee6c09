"""What became of every trial begun for a comparison, by the ledger: counted, invalid, missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.analysis.blocks import counts
from vbench.analysis.trials import TrialSet
from vbench.record import ledger
from vbench.record.files import EARLIER, RecordError, read_trial
from vbench.record.ledger import Begun, Ledger
from vbench.record.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccount:
    """What the ledger says about the trials of a comparison."""

    text: str
    """How many were begun and what became of them, or that there is no ledger."""
    faults: tuple[str, ...]
    """Lines that were changed, and trials that are gone."""
    earlier: tuple[str, ...]
    """Other sweeps and trials that measured the same."""
    superseded: tuple[Mapping[str, str | int], ...]
    """Trials that were begun and are not among the records: id, arm, block, at, status, fate."""


def account(trial_set: TrialSet, trials: Sequence[Trial], book: Ledger | None) -> LedgerAccount:
    """What became of all trials of this comparison, by the ledger ``book``; ``trials``: those that were
    audited."""
    counted = sum(counts(trial) for trial in trials)
    ours = _ours(trial_set, trials, book) if book else {}
    if book is None or not ours:
        where = "No ledger" if book is None else f"{ledger.LEDGER} has none of these trials"
        return LedgerAccount(
            text=f"{where}: {len(trials)} records, {counted} counted. Whether other trials were begun, or"
            " files were changed since, is unknown.",
            faults=tuple(book.faults) if book else (),
            earlier=(),
            superseded=(),
        )
    here = {trial.trial_id: trial for trial in trials}
    aside = _set_aside(trial_set)
    tally = dict.fromkeys(("counted", "invalid", "interrupted", "missing"), 0)
    faults = list(book.faults)
    superseded: list[Mapping[str, str | int]] = []
    for one, line in ours.items():
        ended = book.ended.get(one)
        finished = ended is not None and ended.status == "finished"
        if one in here:
            trial = here[one]
            fate = "counted" if counts(trial) else "invalid" if finished else "interrupted"
        else:
            fate = "interrupted" if not finished else "missing"
            superseded.append(
                {
                    "trial_id": one,
                    "arm": line.arm,
                    "block": line.block + 1,
                    "at": line.at,
                    "status": ended.status if ended else "did not end",
                    "fate": "kept under earlier/" if one in aside else fate,
                }
            )
        if fate == "missing":
            assert ended is not None
            faults.append(
                f"trial {one} ({line.arm}, block {line.block + 1}) has no record here any more: it ended"
                f" {'valid' if ended.valid else 'invalid'} at {ended.at} in folder {Path(line.folder).name}"
            )
        tally[fate] += 1
    text = (
        f"{len(ours)} begun, {tally['counted']} counted ({tally['invalid']} invalid, {tally['interrupted']}"
        f" interrupted, {tally['missing']} missing), by {ledger.LEDGER}."
    )
    return LedgerAccount(
        text=text,
        faults=tuple(faults),
        earlier=tuple(_earlier(ours, book)),
        superseded=tuple(superseded),
    )


def _ours(trial_set: TrialSet, trials: Sequence[Trial], book: Ledger) -> dict[str, Begun]:
    """The trials that belong to this comparison, with or without a record: those of its sweeps, whatever
    ``sweep.json`` says by now, or of its experiment."""
    ids = {trial.trial_id for trial in trials}
    sweeps = {trial_set.sweep_id, *(line.sweep_id for one, line in book.begun.items() if one in ids)} - {""}
    experiment = None if trial_set.sweep_id else trial_set.name
    return {
        one: line
        for one, line in book.begun.items()
        if one in ids or line.sweep_id in sweeps or line.experiment == experiment
    }


def _set_aside(trial_set: TrialSet) -> set[str]:
    """Ids of the trials that were repeated, whose first records a sweep keeps."""
    ids = set()
    for path in (trial_set.folder / EARLIER).glob("*"):
        try:
            ids.add(read_trial(path).trial_id)
        except RecordError:
            continue
    return ids


def _earlier(ours: Mapping[str, Begun], book: Ledger) -> Iterator[str]:
    """A sentence per other sweep that measured one of these configurations, and one for all single trials."""
    questions = {line.question for line in ours.values()}
    sweeps: dict[str, list[Begun]] = {}
    for one, line in book.begun.items():
        if one not in ours and line.question in questions:
            sweeps.setdefault(line.sweep_id, []).append(line)
    for name, lines in sweeps.items():
        same = len({line.question for line in lines})
        of = f"{same} of these {len(questions)} configurations"
        if not name:
            yield f"Also measured by {len(lines)} single trials: {of}."
            continue
        folder = Path(lines[0].folder).parent
        yield (
            f"Also measured by the sweep {folder.name} ({name}, begun {lines[0].at}, {len(lines)} trials"
            f" begun): {of}."
        )
