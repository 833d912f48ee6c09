"""Are the records what their trials wrote? Each is judged and computed again, and held against the ledger."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vbench.analysis.bottleneck import find_bottleneck
from vbench.analysis.ledger_account import LedgerAccount, account
from vbench.analysis.trials import Found, Measured
from vbench.errors import first_line
from vbench.record import ledger
from vbench.record.bottleneck import Bottleneck
from vbench.record.files import DamagedError, RecordError
from vbench.record.ledger import Ledger
from vbench.record.measurements import Measurements, read_measurements
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


def audit(found: Found) -> tuple[list[Audited], LedgerAccount]:
    """Audit all trials that were found, in their order."""
    others = (Path(each.trial.config.get("outputs", "outputs")) for each in found.trials)
    book = ledger.find(found.folder, *dict.fromkeys(others))
    code = environment.code()
    known = book is not None and any(each.trial.trial_id in book.begun for each in found.trials)
    audited = [_audit(each, book, code, others_known=known) for each in found.trials]
    return audited, account(found, [each.measured.trial for each in audited], book)


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
    lines: Measurements | None = None
    try:
        lines = read_measurements(folder, trial.network)
        metrics = _metrics(trial, lines)
        faults += _differing(trial, metrics, is_of_this_code)
        if is_of_this_code:
            faults += _other_bottleneck(trial, find_bottleneck(trial, lines))
        added = {name: value for name, value in metrics.items() if _is_new(name) and math.isfinite(value)}
        trial = replace(trial, metrics={**added, **trial.metrics})
    except DamagedError as error:
        faults.append(str(error).replace(f"{folder}/", ""))
    except RecordError as error:
        # Of another version. The ledger says whether it was whole once.
        remarks.append(f"its metrics could not be computed again: {str(error).replace(f'{folder}/', '')}")
    try:
        changed, unknown = _verdicts(trial, judged(folder, trial, lines), is_of_this_code)
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


def _metrics(trial: Trial, lines: Measurements) -> dict[str, float]:
    """The metrics again, from the record's lines; none for a trial that has no latency."""
    if "latency_mean_s" not in trial.metrics:
        return {}
    return summarize(trial.clip, lines, trial.observed.late_sent_bytes if trial.observed else None)


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


def _other_bottleneck(trial: Trial, again: Bottleneck | None) -> Iterator[str]:
    """A phrase if the record's lines give another bottleneck than the record has."""
    stored, computed = _busy_times(trial.bottleneck), _busy_times(again)
    if stored.keys() != computed.keys():
        yield f"it says that the resources were {_listed(stored)}, and its lines give {_listed(computed)}"
        return
    for name, seconds in stored.items():
        if not math.isclose(seconds, computed[name], rel_tol=TOLERANCE, abs_tol=1e-9):
            yield f"it says {name}: {seconds:.6g} s, and its lines give {computed[name]:.6g} s"


def _busy_times(bottleneck: Bottleneck | None) -> dict[str, float]:
    """Resource, and which of its kind -> seconds; with them the measured time."""
    if bottleneck is None:
        return {}
    times = {f"{one.resource} ({one.where})": one.busy_s for one in bottleneck.resources}
    return {**times, "measured time": bottleneck.measured_s}


def _listed(times: Mapping[str, float]) -> str:
    return ", ".join(times) or "unknown"


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
