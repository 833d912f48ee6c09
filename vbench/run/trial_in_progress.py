"""A trial while it runs: its lines in the ledger, and its record with the verdict when it ends."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vbench.analysis.bottleneck import find_bottleneck
from vbench.config.schema import Config
from vbench.errors import VbenchError
from vbench.load.spec import PREPARED, read_clip
from vbench.record import files, ledger
from vbench.record.files import SWEEP
from vbench.record.fingerprint import fingerprint
from vbench.record.harness import Harness
from vbench.record.measurements import read_measurements
from vbench.record.metrics import summarize
from vbench.record.network import Network
from vbench.record.question import question
from vbench.record.trial import Status, Trial
from vbench.run.progress import Display
from vbench.run.sweep import arm_name
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
    environment: Mapping[str, Any] = field(default_factory=environment.describe)
    phases_s: dict[str, float] = field(default_factory=dict)
    network: Network | None = None
    harness: Harness = field(default_factory=Harness)
    began_s: float = field(default_factory=time.monotonic)
    trial_id: str = field(default_factory=lambda: secrets.token_hex(8))
    ledger: str | None = None
    """Hash of the line in the ledger that begins the trial; None until it is written."""

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
        """The record, judged, from the files that the load process has left."""
        folder = self.folder
        load_report = files.read_load_report(folder)
        clip = read_clip(folder)
        measured = read_measurements(folder, self.network)
        finished = load_report if status == "finished" else None
        judged = rules.judge(self.config, finished, measured, clip, self.harness)
        metrics: dict[str, float] = {}
        if load_report is not None:
            metrics = summarize(clip, measured, load_report.post_run_bytes)
        phases_s = {**self.phases_s, **(load_report.phases_s if load_report else {})}
        if "latency_mean_s" in metrics:
            spent_s = time.monotonic() - self.began_s
            metrics["harness_s"] = spent_s - sum(phases_s.get(name, 0.0) for name in NOT_HARNESS_PHASES)
        for name in (files.LOAD_REPORT, PREPARED):
            (folder / name).unlink(missing_ok=True)
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
            metrics=metrics,
            phases_s=phases_s,
            config=plain,
            config_fingerprint=fingerprint(plain),
            environment=self.environment,
            clip=clip,
            network=self.network,
            load_report=load_report,
            loosened=tuple(rule_bounds.loosened(plain)),
            harness=self.harness,
            ledger=self.ledger,
        )
        return replace(trial, bottleneck=find_bottleneck(trial, measured))


def _sweep_of(folder: Path) -> Mapping[str, Any]:
    """The plan of the sweep that a trial belongs to; empty if it belongs to none."""
    try:
        plan: Mapping[str, Any] = json.loads((folder.parent / SWEEP).read_text())
    except (OSError, ValueError):
        return {}
    return plan
