"""A trial while it runs: its lines in the ledger, and its record with the verdict when it ends."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vbench.analysis.bottleneck import find_bottleneck
from vbench.config.interpreter import other_interpreter
from vbench.config.schema import Config
from vbench.errors import TrialError, VbenchError
from vbench.load.spec import PREPARED, read_clip
from vbench.record import files, ledger
from vbench.record.files import SWEEP
from vbench.record.fingerprint import fingerprint
from vbench.record.harness import Harness
from vbench.record.measurements import Measurements, read_measurements
from vbench.record.metrics import metrics_of
from vbench.record.network import Network
from vbench.record.question import question
from vbench.record.trial import Status, Trial
from vbench.run.arm_names import arm_name
from vbench.run.progress import Display
from vbench.telemetry import environment
from vbench.validity import rule_bounds, rules

NOT_HARNESS_PHASES = ("prepare", "link_check", "warm_up", "settle", "measure", "drain", "link_check_after")
"""Phases that are not the harness's own cost; the rest of a trial's time is the metric ``harness_s``. In the
phases around the measured requests the harness waits for what Ray still moves."""


@dataclass(slots=True, kw_only=True)
class TrialInProgress:
    """What is known when a trial begins, with the code's revision at that moment, and what the harness
    observes while it runs."""

    config: Config
    folder: Path
    swept: Mapping[str, str]
    command: Sequence[str]
    """Arguments of the command line, unless a sweep has its own."""
    started: str = field(default_factory=environment.now)
    environment: dict[str, Any] = field(default_factory=environment.describe)
    phases_s: dict[str, float] = field(default_factory=dict)
    network: Network | None = None
    harness: Harness = field(default_factory=Harness)
    began_s: float = field(default_factory=time.monotonic)
    trial_id: str = field(default_factory=lambda: secrets.token_hex(8))
    ledger: str | None = None
    """Hash of the line in the ledger that begins the trial; None until it is written."""

    def __post_init__(self) -> None:
        """Add what is installed where the arm runs, if that is another environment."""
        other = other_interpreter(self.config.runtime)
        if other is not None:
            self.environment["arm"] = {"python": other.python, "packages": dict(other.packages)}

    def enter(self) -> None:
        """Write to the ledger of the outputs folder that the trial has begun."""
        sweep = _sweep_of(self.folder)
        tracking = self.config.tracking
        self.ledger = ledger.append(
            Path(self.config.outputs),
            ledger.BEGUN,
            {
                "trial_id": self.trial_id,
                "at": self.started,
                "sweep_id": str(sweep.get("sweep_id", "")),
                "experiment": "" if tracking.name == "off" else tracking.experiment,
                "folder": str(self.folder.resolve()),
                "arm": self.arm,
                "block": self.config.block,
                "question": question(asdict(self.config)),
                "command": list(sweep.get("arguments", self.command)),
                "code": self.environment["code"],
                "host": self.environment["host"],
            },
        )

    def leave(self, trial: Trial, display: Display) -> None:
        """Write to the ledger that the trial has ended, with the hashes of its files."""
        facts = {
            "trial_id": self.trial_id,
            "at": environment.now(),
            "status": trial.status,
            "valid": trial.valid,
            "files": ledger.file_hashes(self.folder),
        }
        try:
            ledger.append(Path(self.config.outputs), ledger.ENDED, facts)
        except OSError as error:
            display.say(
                f"vbench: the end of the trial could not be written to {self.config.outputs}/{ledger.LEDGER}"
                f" ({error.strerror}): comparisons will count the trial as interrupted. Free some disk space"
                f" and run it again.",
                style="red",
            )

    @property
    def arm(self) -> str:
        """The swept settings, in one line."""
        return arm_name(self.swept)

    def saw(self, **seen: Any) -> None:
        """Add to what the harness has observed."""
        self.harness = replace(self.harness, **seen)

    def end(self, status: Status, error: VbenchError | None) -> Trial:
        """The record, judged, from the files that the load process has left.

        Files that cannot be read make it a failed trial, and lines that do not fit together an invalid one,
        each with the reason.
        """
        folder = self.folder
        load_report, clip, measured = None, None, Measurements(network=self.network)
        try:
            load_report, clip = files.read_load_report(folder), read_clip(folder)
            measured = read_measurements(folder, self.network)
        except ValueError as unreadable:  # a RecordError, or a clip that is no JSON
            status = "failed" if status == "finished" else status
            error = error or TrialError(
                f"what was measured cannot be read: {unreadable}; run the trial again"
            )
        else:
            for name in (files.LOAD_REPORT, PREPARED):
                (folder / name).unlink(missing_ok=True)
        finished = load_report if status == "finished" else None
        judged = rules.judge(self.config, finished, measured, clip, self.harness)
        plain = asdict(self.config)
        trial = Trial(
            trial_id=self.trial_id,
            arm=self.arm,
            swept=self.swept,
            block=self.config.block,
            seed=self.config.load.seed,
            started=self.started,
            status=status,
            error=str(error) if error else None,
            valid=all(rule.passed for rule in judged),
            rules=judged,
            metrics={},
            phases_s={**self.phases_s, **(load_report.phases_s if load_report else {})},
            config=plain,
            config_fingerprint=fingerprint(plain),
            environment=self.environment,
            clip=clip,
            network=self.network,
            load_report=load_report,
            loosened=tuple(rule_bounds.loosened(plain)),
            harness=self.harness,
            ledger=self.ledger,
            outputs=str(Path(self.config.outputs).resolve()),
        )
        try:
            return self._with_results(trial, measured)
        except Exception as failure:  # noqa: BLE001 - whatever lines make of it that do not fit together
            return _unjudgeable(trial, measured, failure)

    def _with_results(self, trial: Trial, measured: Measurements) -> Trial:
        """The record with its metrics and its bottleneck."""
        if trial.load_report is None:
            return trial
        metrics = metrics_of(trial, measured)
        if "latency_mean_s" in metrics:
            spent_s = time.monotonic() - self.began_s
            others_s = sum(trial.phases_s.get(name, 0.0) for name in NOT_HARNESS_PHASES)
            metrics["harness_s"] = spent_s - others_s
        trial = replace(trial, metrics=metrics)
        return replace(trial, bottleneck=find_bottleneck(trial, measured))


def _unjudgeable(trial: Trial, measured: Measurements, failure: Exception) -> Trial:
    """The record as an invalid one, without results, because ``failure`` came of computing them."""
    broken = list(dict.fromkeys([*trial.rules, rules.unjudgeable(failure)]))
    return replace(trial, valid=False, rules=broken, metrics={"requests": float(len(measured.requests))})


def _sweep_of(folder: Path) -> Mapping[str, Any]:
    """The plan of the sweep that a trial belongs to; empty if it belongs to none."""
    try:
        plan: Mapping[str, Any] = json.loads((folder.parent / SWEEP).read_text())
    except (OSError, ValueError):
        return {}
    return plan
