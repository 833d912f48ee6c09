"""Checks that records are what their trials wrote: by recomputing and judging them, and by the ledger."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vbench.analysis.bottleneck import find_bottleneck
from vbench.analysis.ledger_account import LedgerAccount, account
from vbench.analysis.trials import SweepTrial, TrialSet
from vbench.errors import first_line
from vbench.record import ledger
from vbench.record.bottleneck import Bottleneck
from vbench.record.files import DamagedError, RecordError
from vbench.record.ledger import Ledger
from vbench.record.measurements import Measurements, read_measurements
from vbench.record.metrics import metrics_of
from vbench.record.quantiles import PERCENTILES, percentile
from vbench.record.trial import Rule, Trial
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
"""Metrics whose formula is the same in all versions: recomputed for every record. Others are recomputed only
if this code wrote the record."""

TOLERANCE = 1e-6
"""Relative difference of a metric that rounding can cause."""

NEW = (
    "latency_mean_first_half_s",
    "latency_mean_second_half_s",
    "makespan_s",
    *(f"latency_{name}_{end}_s" for name in PERCENTILES for end in ("low", "high")),
)
NEW_PREFIX = "steady_"
"""Metrics that older records lack, and that can be computed from their lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedTrial:
    """One trial after its audit."""

    measured: SweepTrial
    """With metrics that its record lacks; invalid if there are ``faults``."""
    faults: tuple[str, ...]
    """How the record differs from what its trial wrote; empty if it does not."""
    remarks: tuple[str, ...]
    """What does not disqualify it, but a reader should know."""


def audit(trial_set: TrialSet) -> tuple[list[AuditedTrial], LedgerAccount]:
    """Audit all trials that were found, in their order."""
    others = [measured.trial.outputs_folder for measured in trial_set.trials]
    book = ledger.find(trial_set.folder, *dict.fromkeys(others))
    code = environment.code()
    known = book is not None and any(measured.trial.trial_id in book.begun for measured in trial_set.trials)
    audited = [_audit(measured, book, code, others_known=known) for measured in trial_set.trials]
    return audited, account(trial_set, [audited_trial.measured.trial for audited_trial in audited], book)


def _audit(measured: SweepTrial, book: Ledger | None, code: str, *, others_known: bool) -> AuditedTrial:
    """Audit one trial; an error that its files cause is a fault of the record and stops no comparison."""
    try:
        return _examined(measured, book, code, others_known=others_known)
    except Exception as error:  # noqa: BLE001 - an edited record may fail in any way
        fault = f"it cannot be audited ({type(error).__name__}: {first_line(error)})"
        return AuditedTrial(measured=_refused(measured, measured.trial, [fault]), faults=(fault,), remarks=())


def _refused(measured: SweepTrial, trial: Trial, faults: Sequence[str]) -> SweepTrial:
    """The trial as an invalid one, with the reason."""
    error = f"the record is not what its trial wrote: {'; '.join(faults)}"
    return replace(measured, trial=replace(trial, valid=False, error=error))


def _examined(measured: SweepTrial, book: Ledger | None, code: str, *, others_known: bool) -> AuditedTrial:
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
        remarks.append(f"its metrics could not be recomputed: {str(error).replace(f'{folder}/', '')}")
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
    return AuditedTrial(measured=audited, faults=tuple(faults), remarks=tuple(remarks))


def _is_new(name: str) -> bool:
    return name in NEW or name.startswith(NEW_PREFIX)


def _metrics(trial: Trial, lines: Measurements) -> dict[str, float]:
    """The metrics again, from the record's lines; none for a trial that has no latency."""
    if "latency_mean_s" not in trial.metrics and "keeps_up" not in trial.metrics:
        return {}
    metrics = metrics_of(trial, lines)
    for name, percent in PERCENTILES.items():
        # Older records have quantiles of so few requests that they would have none today.
        metric = f"latency_{name}_s"
        if metric in trial.metrics and metric not in metrics and "latency_mean_s" in metrics:
            metrics[metric] = percentile([request.latency_s for request in lines.requests], percent)
    return metrics


def _differing(trial: Trial, again: Mapping[str, float], is_of_this_code: bool) -> Iterator[str]:
    """A phrase per metric that differs from what the record's lines give."""
    if "latency_mean_s" in trial.metrics and "latency_mean_s" not in again:
        yield "it has a mean latency, but its requests have none"
        return
    for name, value in trial.metrics.items():
        if name not in again or not (is_of_this_code or name in ALWAYS):
            continue
        if not math.isclose(value, again[name], rel_tol=TOLERANCE, abs_tol=1e-9):
            yield f"it has {name} = {value:.6g}, but its lines give {again[name]:.6g}"


def _other_bottleneck(trial: Trial, again: Bottleneck | None) -> Iterator[str]:
    """A phrase if the record's lines give another bottleneck than the record has."""
    stored, computed = _busy_times(trial.bottleneck), _busy_times(again)
    if stored.keys() != computed.keys():
        yield f"it has the busy resources {_listed(stored)}, but its lines give {_listed(computed)}"
        return
    for name, seconds in stored.items():
        if not math.isclose(seconds, computed[name], rel_tol=TOLERANCE, abs_tol=1e-9):
            yield f"it has {name}: {seconds:.6g} s, but its lines give {computed[name]:.6g} s"


def _busy_times(bottleneck: Bottleneck | None) -> dict[str, float]:
    """Resource, and which of its kind -> seconds; with them the measured time."""
    if bottleneck is None:
        return {}
    times = {f"{one.resource} ({one.where})": one.busy_s for one in bottleneck.resources}
    return {**times, "measured time": bottleneck.measured_s}


def _listed(times: Mapping[str, float]) -> str:
    return ", ".join(times) or "unknown"


def _own_verdict(trial: Trial) -> Iterator[str]:
    """Whether ``valid`` agrees with the rules in the record."""
    broken = [rule.name for rule in trial.broken]
    if trial.valid and broken:
        yield f"it is marked valid, but breaks the rule '{broken[0]}'"
    if not trial.valid and trial.status == "finished" and trial.rules and not broken:
        yield "it is marked invalid, but passed every rule"


def _verdicts(trial: Trial, now: Sequence[Rule], is_of_this_code: bool) -> tuple[list[str], list[str]]:
    """Rules with another result now: what disqualifies the trial, and what a reader should know.

    A rule that the record does not have is one that its version did not know, or, for a record of this code,
    one that was removed from it.
    """
    faults: list[str] = []
    remarks: list[str] = []
    then = {rule.name: rule for rule in trial.rules}
    for rule in now:
        was = then.get(rule.name)
        if was is None and not rule.passed:
            text = (
                f"by the rule '{rule.name}', which is newer than the record, it is invalid ({rule.observed})"
            )
            (faults if is_of_this_code and trial.status == "finished" else remarks).append(text)
        elif was is not None and was.passed and not rule.passed:
            faults.append(f"judged again, it breaks the rule '{rule.name}' ({rule.observed})")
        elif was is not None and not was.passed and rule.passed:
            remarks.append(f"it is marked as breaking the rule '{rule.name}', but judged again, it passes")
    if is_of_this_code and trial.status == "finished":
        gone = [rule.name for rule in now if rule.name not in then]
        if gone and then:
            faults.append(f"it lacks the rule '{gone[0]}'")
    return faults, remarks


def _against_ledger(trial: Trial, folder: Path, book: Ledger | None, *, others_known: bool) -> Iterator[str]:
    if trial.ledger and (book is None or trial.ledger not in book.hashes):
        where = "there is no ledger" if book is None else f"{ledger.LEDGER} has no such line"
        yield f"it refers to a line of the ledger, but {where}"
        return
    if book is None:
        return
    if trial.trial_id not in book.begun:
        if others_known:
            yield f"{ledger.LEDGER} has other trials of this comparison, but not this one"
        return
    ended = book.ended.get(trial.trial_id)
    if ended is None:
        if trial.status != "interrupted":
            yield f"{ledger.LEDGER} does not say that it ended"
        return
    now = ledger.file_hashes(folder)
    for name, digest in ended.files.items():
        if name not in now:
            yield f"{name} is missing"
        elif now[name] != digest:
            yield f"{name} has changed since {ended.at} (its hash is not the one in {ledger.LEDGER})"
