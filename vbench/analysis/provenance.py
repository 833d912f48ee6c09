"""Where a comparison's numbers come from: code, machine, rules and files of each trial, counted or not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vbench.analysis.audit import AuditedTrial
from vbench.analysis.blocks import counts
from vbench.analysis.comparability import MACHINE
from vbench.analysis.ledger_account import LedgerAccount
from vbench.analysis.sources import Provenance, Source
from vbench.record import ledger
from vbench.record.trial import Trial


def of(audited: Sequence[AuditedTrial], ledgered: LedgerAccount) -> Provenance:
    """The provenance of a comparison, from the audit of its trials."""
    return Provenance(
        ledger=ledgered.text,
        faults=(*_named(audited, "faults"), *ledgered.faults),
        remarks=tuple(_named(audited, "remarks")),
        earlier=ledgered.earlier,
        sources=tuple(_source(trial) for trial in audited),
        superseded=ledgered.superseded,
    )


def changed(faults: Sequence[str]) -> str:
    """The sentence for records that are not what their trials wrote."""
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    return (
        f"the records are not what the trials wrote ({count}). First: {faults[0]}. Restore the files, or run"
        " these trials again."
    )


def _named(audited: Sequence[AuditedTrial], what: str) -> list[str]:
    """Each fault or remark with its trial; one that several trials have only once, with their number."""
    trials: dict[str, list[str]] = {}
    for audited_trial in audited:
        trial = audited_trial.measured.trial
        for text in getattr(audited_trial, what):
            name = f"trial {Path(trial.folder).name} ({trial.arm}, block {trial.block + 1})"
            trials.setdefault(text, []).append(name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {text}"
        for text, names in trials.items()
    ]


def _source(audited: AuditedTrial) -> Source:
    measured = audited.measured
    trial = measured.trial
    environment = trial.environment
    return Source(
        trial_id=trial.trial_id,
        folder=trial.folder,
        arm=trial.arm,
        block=str(trial.block + 1),
        sweep=measured.sweep,
        seed=trial.seed,
        started=trial.started,
        status=trial.status,
        counted=counts(trial),
        error=trial.error,
        code=environment.get("code"),
        git_revision=environment.get("git_revision"),
        git_clean=environment.get("git_clean"),
        machine=_machine(trial),
        versions=_versions(trial),
        config_fingerprint=trial.config_fingerprint,
        clip=trial.clip.fingerprint if trial.clip else None,
        rules=tuple(
            {"name": rule.name, "passed": rule.passed, "observed": rule.observed} for rule in trial.rules
        ),
        metrics=dict(trial.metrics),
        ledger=trial.ledger,
        files=ledger.file_hashes(measured.folder),
    )


def _machine(trial: Trial) -> dict[str, object]:
    hardware = trial.load_report.hardware if trial.load_report else {}
    if hardware:
        return {
            node: {name: value for name, value in facts.items() if name != "packages"}
            for node, facts in hardware.items()
        }
    return {name: trial.environment.get(name) for name in MACHINE}


def _versions(trial: Trial) -> dict[str, str]:
    """Of the environment that the service ran in, which ``runtime.python`` names."""
    environment = trial.environment.get("arm", trial.environment)
    packages = environment.get("packages")
    torch = packages.get("torch") if isinstance(packages, Mapping) else None
    known = {
        "ray": trial.load_report.ray_version if trial.load_report else None,
        "ray_commit": trial.load_report.ray_commit if trial.load_report else None,
        "ffmpeg": trial.clip.ffmpeg if trial.clip else None,
        "python": environment.get("python"),
        "torch": torch,
    }
    return {name: str(value) for name, value in known.items() if value is not None}
