"""What a comparison holds: tables of scenarios, the arms behind them, what was left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.analysis.arms import Settings
from vbench.analysis.drift import Drift
from vbench.analysis.statistics import Improvement, Mean, WithoutOne
from vbench.analysis.transfer_rate import Reached
from vbench.record.bottleneck import Bottleneck


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One valid trial of an arm."""

    folder: str
    block: str
    """Counted from 1, as a sweep says while it runs."""
    latency_mean_s: float
    latencies_s: tuple[float, ...]
    """Of each request, in the order in which they were sent."""
    parts_s: Mapping[str, float]
    """Where the latency went: part -> seconds, mean over requests (vbench.analysis.latency_breakdown)."""
    metrics: Mapping[str, float]
    """As in the trial's record."""
    phases_s: Mapping[str, float]
    """What the harness itself took, as in the trial's record."""
    bottleneck: Bottleneck | None
    """None for a trial that moved nothing and computed nothing."""
    loosened: tuple[str, ...] = ()
    """Bounds of rules that were looser than the shipped ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """All valid trials of one arm in one scenario."""

    name: str
    settings: Settings
    latency: Mean
    """Of the trials' mean latencies, in seconds."""
    points: tuple[Point, ...]
    reached: Reached | None
    """What its connections gave; None where no objects were moved by themselves over shaped links."""

    def metric(self, name: str) -> float | None:
        """A metric's mean over the arm's trials; None where a trial has none."""
        return _mean_of_all([point.metrics for point in self.points], name)

    def phase(self, name: str) -> float | None:
        """Seconds of a phase of the harness, mean over the arm's trials; None where a trial has none."""
        return _mean_of_all([point.phases_s for point in self.points], name)

    def part(self, name: str) -> float:
        """Seconds of a part of the latency, mean over the arm's trials."""
        return sum(point.parts_s.get(name, 0.0) for point in self.points) / len(self.points)


def _mean_of_all(each: Sequence[Mapping[str, float]], name: str) -> float | None:
    """None where one lacks it."""
    values = [numbers[name] for numbers in each if name in numbers]
    return sum(values) / len(values) if len(values) == len(each) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An arm's surroundings: all that is not compared. In each at least one trial is valid."""

    name: str
    arms: tuple[Arm, ...]
    """By connections where the runtime is compared, else baselines before candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Another time than the mean latency, compared in the same way: of a half of the trial, of its steady
    window, or its makespan."""

    metric: str
    """As in vbench.record.metrics."""
    baseline: Mean
    candidate: Mean
    improvement: Improvement


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A scenario in a table. Means are over the blocks in which both arms are valid."""

    scenario: str
    baseline: Mean | None
    """In seconds; None, like what follows, where no block counts."""
    candidate: Mean | None
    improvement: Improvement | None
    left_out: tuple[str, ...]
    """Blocks that do not count, and which arm has no valid trial in them."""
    blocks: tuple[str, ...] = ()
    """Those that count, in running order."""
    without_one: WithoutOne | None = None
    """The improvement if any one block is left out; None for fewer than three blocks."""
    drift: Drift | None = None
    """Whether the difference changes over the blocks; None for fewer than three."""
    beside: tuple[Beside, ...] = ()
    """Halves, steady window and makespan, as far as all trials of the row have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One baseline against one candidate."""

    baseline: str
    candidate: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trial behind a comparison, counted or not, with what a reader needs to check it."""

    trial_id: str
    folder: str
    arm: str
    block: str
    """Counted from 1."""
    sweep: str
    """Empty if there is but one."""
    seed: int
    started: str
    status: str
    counted: bool
    error: str | None
    code: str | None
    """Digest of the code that ran; None in older records."""
    git_revision: str | None
    git_clean: bool | None
    machine: Mapping[str, object]
    """Host, CPU, cores, memory, GPUs, kernel; of an attached cluster its nodes."""
    versions: Mapping[str, str]
    """Ray, Ray's commit, FFmpeg, Python, torch."""
    config_fingerprint: str
    clip: str | None
    """Fingerprint of the clip's bytes."""
    rules: tuple[Mapping[str, object], ...]
    """Name, holds, found."""
    metrics: Mapping[str, float]
    ledger: str | None
    """Hash of the line with which the ledger begins it."""
    files: Mapping[str, str]
    """sha256 of the files of its record, as they were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the numbers of a comparison come from, and whether the records are what their trials wrote."""

    ledger: str
    """How many trials were begun and what came of them, or that there is no ledger."""
    faults: tuple[str, ...]
    """Records and lines of the ledger that were changed or are gone."""
    remarks: tuple[str, ...]
    """What is not a fault, and a reader should know."""
    earlier: tuple[str, ...]
    """Other sweeps that measured the same."""
    sources: tuple[Source, ...]
    superseded: tuple[Mapping[str, str | int], ...]
    """Trials that were begun and of which there is no record among the compared ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A trial that stays out of the comparison."""

    folder: str
    """Or MLflow's run."""
    arm: str
    block: str
    """Counted from 1; empty, as the arm, where its record cannot be read and no plan says."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Arms compared over the blocks of a sweep, scenario by scenario."""

    name: str
    """Of the sweep's folder, or of the experiment."""
    tables: tuple[Table, ...]
    scenarios: tuple[Scenario, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    """What a reader must know beside the numbers."""
    provenance: Provenance

    @property
    def metrics(self) -> dict[str, float]:
        """The improvements and their intervals by names that MLflow takes."""
        found: dict[str, float] = {}
        for table in self.tables:
            for row in table.rows:
                if row.improvement is None:
                    continue
                end = _allowed(f"{row.scenario}/{table.candidate} against {table.baseline}")
                found[f"improvement_percent/{end}"] = row.improvement.percent
                if row.improvement.low_percent is not None and row.improvement.high_percent is not None:
                    found[f"improvement_low_percent/{end}"] = row.improvement.low_percent
                    found[f"improvement_high_percent/{end}"] = row.improvement.high_percent
        return found

    def inconclusive(self, percent: float) -> list[tuple[Table, Row]]:
        """Where the candidate's latency is higher by more than ``percent``, but not its whole interval."""
        certain = self.regressions(percent)
        return [
            (table, row)
            for table in self.tables
            for row in table.rows
            if row.improvement is not None
            and row.improvement.percent < -percent
            and (table, row) not in certain
        ]

    def not_non_inferior(self, percent: float) -> list[tuple[Table, Row]]:
        """Rows whose interval does not exclude that the candidate is slower by more than ``percent``; one
        block excludes nothing."""
        return [
            (table, row)
            for table in self.tables
            for row in table.rows
            if row.improvement is None
            or row.improvement.slowdown_bound_percent is None
            or row.improvement.slowdown_bound_percent > percent
        ]

    def regressions(self, percent: float) -> list[tuple[Table, Row]]:
        """Where the candidate's latency is higher by more than ``percent``, the whole interval included.

        One block has no interval, and so no regression that is told from noise.
        """
        return [
            (table, row)
            for table in self.tables
            for row in table.rows
            if row.improvement is not None
            and row.improvement.high_percent is not None
            and row.improvement.high_percent < -percent
        ]


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-. :/]", "", name)
