"""Are the records what their trials wrote? Each is judged and computed again, and held against the ledger."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vbench.analysis.trials import Found, Measured
from vbench.errors import first_line
from vbench.record import ledger
from vbench.record.files import (
    EARLIER,
    DamagedError,
    RecordError,
    read_machines,
    read_requests,
    read_samples,
    read_spans,
    read_trial,
)
from vbench.record.ledger import Begun, Ledger
from vbench.record.metrics import summarize
from vbench.record.types import Rule, Trial
from vbench.telemetry import environment
from vbench.validity.revalidation import judged

ALWAYS = (
    "requests",
    "latency_mean_s",
    "latency_p50_s",
    "latency_p90_s",
    "latency_p99_s",
    "latency_max_s",
    "latency_min_s",
    "makespan_s",
    "throughput_requests_per_s",
    "throughput_video_s_per_s",
    "throughput_frames_per_s",
)
"""Metrics whose formula is the same in all versions: held against the lines of every record. Others are held
against them only if this code has made the record."""

TOLERANCE = 1e-6
"""Of a metric, relative: what floats lose on their way."""

NEW = ("latency_mean_first_half_s", "latency_mean_second_half_s", "makespan_s")
NEW_PREFIX = "steady_"
"""What older records lack and their lines give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One trial after its audit."""

    measured: Measured
    """With metrics that its record lacks; not valid if ``faults`` says why it cannot count."""
    faults: tuple[str, ...]
    """How the record differs from what its trial wrote. Empty if nothing was found."""
    remarks: tuple[str, ...]
    """What does not disqualify it, and a reader should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgered:
    """What the ledger says of the trials of a comparison."""

    text: str
    """How many were begun and what came of them; or that there is no ledger."""
    faults: tuple[str, ...]
    """Lines that were changed, and trials that are gone."""
    earlier: tuple[str, ...]
    """Other sweeps and trials that measured the same."""
    superseded: tuple[Mapping[str, str | int], ...]
    """Trials that were begun and are not among the records: id, arm, block, at, status, fate."""


def audit(found: Found) -> tuple[list[Audited], Ledgered]:
    """Audit all trials that were found, in their order."""
    others = (Path(each.trial.config.get("outputs", "outputs")) for each in found.trials)
    book = ledger.find(found.folder, *dict.fromkeys(others))
    code = environment.code()
    known = book is not None and any(each.trial.trial_id in book.begun for each in found.trials)
    audited = [_audit(each, book, code, others_known=known) for each in found.trials]
    return audited, _ledgered(found, audited, book)


def _audit(measured: Measured, book: Ledger | None, code: str, *, others_known: bool) -> Audited:
    """Audit one trial; whatever its files provoke is a fault of theirs, and stops no comparison."""
    try:
        return _examined(measured, book, code, others_known=others_known)
    except Exception as error:  # noqa: BLE001 - an edited record may fail in any way
        fault = f"it cannot be audited ({type(error).__name__}: {first_line(error)})"
        return Audited(measured=_refused(measured, measured.trial, [fault]), faults=(fault,), remarks=())


def _refused(measured: Measured, trial: Trial, faults: Sequence[str]) -> Measured:
    """The trial as one that does not count, and why."""
    error = f"the record is not what its trial wrote: {'; '.join(faults)}"
    return replace(measured, trial=replace(trial, valid=False, error=error))


def _examined(measured: Measured, book: Ledger | None, code: str, *, others_known: bool) -> Audited:
    trial, folder = measured.trial, measured.folder
    faults = [*_against_ledger(trial, folder, book, others_known=others_known), *_own_verdict(trial)]
    remarks: list[str] = []
    is_of_this_code = trial.environment.get("code") == code
    try:
        metrics = _metrics(trial, folder)
        faults += _differing(trial, metrics, is_of_this_code)
        added = {name: value for name, value in metrics.items() if _is_new(name) and math.isfinite(value)}
        trial = replace(trial, metrics={**added, **trial.metrics})
    except DamagedError as error:
        faults.append(str(error).replace(f"{folder}/", ""))
    except RecordError as error:
        # Of another version. The ledger says whether it was whole once.
        remarks.append(f"its metrics could not be computed again: {str(error).replace(f'{folder}/', '')}")
    try:
        changed, unknown = _verdicts(trial, judged(folder, trial), is_of_this_code)
        faults += changed
        remarks += unknown
    except DamagedError as error:
        faults.append(str(error).replace(f"{folder}/", "").replace(str(folder), "it"))
    except RecordError as error:
        remarks.append(f"it could not be judged again: {str(error).replace(str(folder), 'it')}")
    faults = list(dict.fromkeys(faults))
    audited = _refused(measured, trial, faults) if faults else replace(measured, trial=trial)
    return Audited(measured=audited, faults=tuple(faults), remarks=tuple(remarks))


def _is_new(name: str) -> bool:
    return name in NEW or name.startswith(NEW_PREFIX)


def _metrics(trial: Trial, folder: Path) -> dict[str, float]:
    """The metrics again, from the record's lines; none for a trial that has no latency."""
    if "latency_mean_s" not in trial.metrics:
        return {}
    observed = trial.observed
    return summarize(
        trial.clip,
        read_requests(folder),
        read_spans(folder),
        read_samples(folder),
        read_machines(folder),
        trial.network,
        observed.late_sent_bytes if observed else None,
    )


def _differing(trial: Trial, again: Mapping[str, float], is_of_this_code: bool) -> Iterator[str]:
    """A phrase for each metric that the record's lines do not give."""
    if "latency_mean_s" in trial.metrics and "latency_mean_s" not in again:
        yield "it has a mean latency, and its requests have none"
        return
    for name, value in trial.metrics.items():
        if name not in again or not (is_of_this_code or name in ALWAYS):
            continue
        if not math.isclose(value, again[name], rel_tol=TOLERANCE, abs_tol=1e-9):
            yield f"it says {name} = {value:.6g}, and its lines give {again[name]:.6g}"


def _own_verdict(trial: Trial) -> Iterator[str]:
    """``valid`` against the rules that stand beside it."""
    broken = [rule.name for rule in trial.broken]
    if trial.valid and broken:
        yield f"it says valid, and that it breaks the rule '{broken[0]}'"
    if not trial.valid and trial.status == "finished" and trial.rules and not broken:
        yield "it says not valid, and that every rule holds"


def _verdicts(trial: Trial, now: Sequence[Rule], is_of_this_code: bool) -> tuple[list[str], list[str]]:
    """Rules that come out otherwise now: what disqualifies the trial, and what is to be known.

    A rule that the record does not have is one that its version did not know; for a record of this very code
    it is one that was taken out.
    """
    faults: list[str] = []
    remarks: list[str] = []
    then = {rule.name: rule for rule in trial.rules}
    for rule in now:
        was = then.get(rule.name)
        if was is None and not rule.holds:
            text = f"by the rule '{rule.name}', which it was not judged by, it is not valid ({rule.found})"
            (faults if is_of_this_code and trial.status == "finished" else remarks).append(text)
        elif was is not None and was.holds and not rule.holds:
            faults.append(f"judged again it breaks the rule '{rule.name}' ({rule.found})")
        elif was is not None and not was.holds and rule.holds:
            remarks.append(f"it says that it breaks the rule '{rule.name}', and judged again it does not")
    if is_of_this_code and trial.status == "finished":
        gone = [rule.name for rule in now if rule.name not in then]
        if gone and then:
            faults.append(f"it lacks the rule '{gone[0]}'")
    return faults, remarks


def _against_ledger(trial: Trial, folder: Path, book: Ledger | None, *, others_known: bool) -> Iterator[str]:
    if trial.ledger and (book is None or trial.ledger not in book.hashes):
        where = "there is no ledger" if book is None else f"{ledger.LEDGER} has no such line"
        yield f"it names a line of the ledger, and {where}"
        return
    if book is None:
        return
    if trial.trial_id not in book.begun:
        if others_known:
            yield f"{ledger.LEDGER} knows other trials of this comparison, and not this one"
        return
    ended = book.ended.get(trial.trial_id)
    if ended is None:
        if trial.status != "interrupted":
            yield "the ledger does not have its end"
        return
    now = ledger.file_hashes(folder)
    for name, digest in ended.files.items():
        if name not in now:
            yield f"{name} is gone"
        elif now[name] != digest:
            yield f"{name} is not the file whose hash the ledger has (of {ended.at})"


def _ledgered(found: Found, audited: Sequence[Audited], book: Ledger | None) -> Ledgered:
    counted = sum(_counts(each.measured.trial) for each in audited)
    ours = _ours(found, audited, book) if book else {}
    if book is None or not ours:
        where = "" if book is None else f"; {ledger.LEDGER} knows none of these trials"
        return Ledgered(
            text=f"No ledger: {len(audited)} records, {counted} counted. Whether other trials were begun, or"
            f" files were changed since, cannot be told{where}.",
            faults=tuple(book.faults) if book else (),
            earlier=(),
            superseded=(),
        )
    here = {each.measured.trial.trial_id: each.measured.trial for each in audited}
    aside = _set_aside(found)
    tally = dict.fromkeys(("counted", "invalid", "interrupted", "missing"), 0)
    faults = list(book.faults)
    superseded: list[Mapping[str, str | int]] = []
    for one, line in ours.items():
        ended = book.ended.get(one)
        finished = ended is not None and ended.status == "finished"
        if one in here:
            trial = here[one]
            fate = "counted" if _counts(trial) else "invalid" if finished else "interrupted"
        else:
            fate = "interrupted" if not finished else "missing"
            superseded.append(
                {
                    "trial_id": one,
                    "arm": line.arm,
                    "block": line.block + 1,
                    "at": line.at,
                    "status": ended.status if ended else "no end",
                    "fate": "kept under earlier/" if one in aside else fate,
                }
            )
        if fate == "missing":
            assert ended is not None
            faults.append(
                f"trial {one} ({line.arm}, block {line.block + 1}), which ended"
                f" {'valid' if ended.valid else 'not valid'} at {ended.at} in folder"
                f" {Path(line.folder).name}, has no record here any more"
            )
        tally[fate] += 1
    text = (
        f"{len(ours)} begun, {tally['counted']} counted ({tally['invalid']} invalid, {tally['interrupted']}"
        f" interrupted, {tally['missing']} missing), by {ledger.LEDGER}."
    )
    return Ledgered(
        text=text,
        faults=tuple(faults),
        earlier=tuple(_earlier(ours, book)),
        superseded=tuple(superseded),
    )


def _ours(found: Found, audited: Sequence[Audited], book: Ledger) -> dict[str, Begun]:
    """The trials that belong to this comparison, with records or without: those of its sweeps, whatever
    ``sweep.json`` says by now, or of its experiment."""
    ids = {each.measured.trial.trial_id for each in audited}
    sweeps = {found.sweep_id, *(line.sweep_id for one, line in book.begun.items() if one in ids)} - {""}
    experiment = None if found.sweep_id else found.name
    return {
        one: line
        for one, line in book.begun.items()
        if one in ids or line.sweep_id in sweeps or line.experiment == experiment
    }


def _counts(trial: Trial) -> bool:
    return trial.valid and "latency_mean_s" in trial.metrics


def _set_aside(found: Found) -> set[str]:
    """Ids of the trials that were run again, whose records a sweep keeps."""
    ids = set()
    for path in (found.folder / EARLIER).glob("*"):
        try:
            ids.add(read_trial(path).trial_id)
        except RecordError:
            continue
    return ids


def _earlier(ours: Mapping[str, Begun], book: Ledger) -> Iterator[str]:
    """A sentence for each other sweep that measured one of these questions, and one for all single trials."""
    questions = {line.question for line in ours.values()}
    sweeps: dict[str, list[Begun]] = {}
    for one, line in book.begun.items():
        if one not in ours and line.question in questions:
            sweeps.setdefault(line.sweep_id, []).append(line)
    for name, lines in sweeps.items():
        same = len({line.question for line in lines})
        of = f"{same} of these {len(questions)} configurations"
        if not name:
            yield f"Measured before or since by {len(lines)} single trials too: {of}."
            continue
        folder = Path(lines[0].folder).parent
        yield (
            f"Measured before or since by the sweep {folder.name} too ({name}, begun {lines[0].at},"
            f" {len(lines)} trials begun): {of}."
        )
