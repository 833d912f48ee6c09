"""What a comparison holds: a table per pair of arms, the trials behind it, and those that it excludes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.analysis.arms import Settings
from vbench.analysis.decisions import Decision
from vbench.analysis.drift import Drift
from vbench.analysis.latency_breakdown import OTHER
from vbench.analysis.screening_results import Screening
from vbench.analysis.sources import Provenance
from vbench.analysis.statistics import Improvement, LeaveOneOut, Mean, Verdict
from vbench.analysis.transfer_rate import TransferRate
from vbench.record.bottleneck import Bottleneck
from vbench.record.looks import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One valid trial of an arm."""

    folder: str
    block: str
    """Counted from 1, as a sweep counts them while it runs."""
    latency_mean_s: float
    latencies_s: Sequence[float]
    """Of each request, in the order in which they were sent."""
    parts_s: Mapping[str, float]
    """Where the latency went: part -> seconds, mean over requests (vbench.analysis.latency_breakdown)."""
    metrics: Mapping[str, float]
    """As in the trial's record."""
    phases_s: Mapping[str, float]
    """How long the phases of the trial took, as in its record."""
    bottleneck: Bottleneck | None
    loosened: Sequence[str] = ()
    """Bounds of rules that were looser than the shipped ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """All valid trials of one arm in one scenario."""

    name: str
    settings: Settings
    latency: Mean
    """Of the trials' mean latencies, in seconds."""
    trials: Sequence[TrialResult]
    transfer_rate: TransferRate | None
    """What its connections achieved; None unless its trials only moved objects, over shaped links."""

    def metric(self, name: str) -> float | None:
        """A metric's mean over the arm's trials; None if a trial does not have it."""
        return _mean_of_all([trial.metrics for trial in self.trials], name)

    def phase(self, name: str) -> float | None:
        """Seconds of a phase, mean over the arm's trials; None if a trial does not have it."""
        return _mean_of_all([trial.phases_s for trial in self.trials], name)

    def part(self, name: str) -> float:
        """Seconds of a part of the latency, mean over the arm's trials."""
        return sum(trial.parts_s.get(name, 0.0) for trial in self.trials) / len(self.trials)


def _mean_of_all(numbers: Sequence[Mapping[str, float]], name: str) -> float | None:
    """None if one lacks it."""
    values = [one[name] for one in numbers if name in one]
    return sum(values) / len(values) if len(values) == len(numbers) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that is the same for the compared arms. At least one trial is valid in it."""

    name: str
    arms: Sequence[Arm]
    """By number of connections if the runtime is compared, otherwise baselines before candidates."""

    @property
    def has_stages(self) -> bool:
        """Whether its requests went through stages of vbench; those of an application went through its own
        deployments."""
        return any(
            seconds > 0
            for arm in self.arms
            for trial in arm.trials
            for part, seconds in trial.parts_s.items()
            if part != OTHER
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryComparison:
    """Another time than the mean latency, compared in the same way: of a half of the trial, of its steady
    window, or its makespan."""

    metric: str
    """As in vbench.record.metrics; ``steady_s_per_request`` is 1 / ``steady_throughput_requests_per_s``."""
    baseline: Mean
    candidate: Mean
    improvement: Improvement
    beyond_mean: Improvement | None = None
    """How much larger the improvement is than that of the mean latency: the same comparison of this time /
    mean latency. None in files of versions before 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileComparison:
    """A quantile of the latency, compared like its mean if every trial has enough requests for it."""

    metric: str
    """As in vbench.record.metrics."""
    requests: int
    """Fewest requests of a trial."""
    requests_needed: int
    """Fewest requests with which a quantile has a 95% interval within its trial."""
    baseline: Mean | None
    """Of the trials' quantiles, in seconds; None, like the next two, if a trial has fewer than needed."""
    candidate: Mean | None
    improvement: Improvement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One scenario in a table. Means are over the blocks in which both arms are valid."""

    scenario: str
    baseline: Mean | None
    """In seconds; None, like the next two, if no block counts."""
    candidate: Mean | None
    improvement: Improvement | None
    uncounted: Sequence[str]
    """Blocks that do not count, and which arm has no valid trial in them."""
    blocks: Sequence[str] = ()
    """Those that count, in running order."""
    log_ratios: Sequence[float] = ()
    """log(candidate / baseline) of each of them; none in files of versions before 7."""
    leave_one_out: LeaveOneOut | None = None
    """The improvement if any one block is left out; None for fewer than three blocks."""
    drift: Drift | None = None
    """Whether the difference changes over the blocks; None for fewer than three."""
    secondary: Sequence[SecondaryComparison] = ()
    """Halves, steady window and makespan, as far as all trials of the row have them."""
    quantiles: Sequence[QuantileComparison] = ()
    """None in files of versions before 6, and for blocks that do not count."""
    decision: Decision | None = None
    """The verdict; None if no block counts, and in files of versions before 7."""

    @property
    def verdict(self) -> Verdict | None:
        """The decision's, or in older files that of the interval alone; None if no block counts."""
        if self.decision is not None:
            return self.decision.verdict
        return self.improvement.verdict if self.improvement is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One baseline against one candidate."""

    baseline: str
    candidate: str
    rows: Sequence[TableRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedTrial:
    """A trial that does not count in the comparison."""

    folder: str
    """Or MLflow's run."""
    arm: str
    block: str
    """Counted from 1; empty, as the arm, if its record cannot be read and no plan names it."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Arms compared over the blocks of a sweep, scenario by scenario."""

    name: str
    """Of the sweep's folder, or of the experiment."""
    tables: Sequence[Table]
    scenarios: Sequence[Scenario]
    excluded: Sequence[ExcludedTrial]
    notes: Sequence[str]
    """What a reader must know in addition to the numbers."""
    provenance: Provenance
    screening: Screening | None = None
    """Of a sweep whose design screens settings. A one-way design has tables too, a fractional one none."""
    is_paired: bool = True
    """Whether baseline and candidate ran in the same blocks; False if the baseline was saved before."""
    look: Look | None = None
    """Which look at the sweep's results this is; None for an experiment, and in files of versions before
    8."""

    @property
    def metrics(self) -> dict[str, float]:
        """The improvements and changes, and their intervals, by names that MLflow accepts."""
        values: dict[str, float] = {}
        for table in self.tables:
            for row in table.rows:
                if row.improvement is None:
                    continue
                suffix = _allowed(f"{row.scenario}/{table.candidate} against {table.baseline}")
                values[f"improvement_percent/{suffix}"] = row.improvement.percent
                if row.improvement.low_percent is not None and row.improvement.high_percent is not None:
                    values[f"improvement_low_percent/{suffix}"] = row.improvement.low_percent
                    values[f"improvement_high_percent/{suffix}"] = row.improvement.high_percent
        if self.screening is not None:
            values |= {_allowed(name): value for name, value in self.screening.values().items()}
        return values

    def inconclusive(self, percent: float) -> list[tuple[Table, TableRow]]:
        """Rows in which the candidate's latency is higher by more than ``percent``, but not its whole
        interval."""
        certain = self.regressions(percent)
        return [
            (table, row)
            for table in self.tables
            for row in table.rows
            if row.improvement is not None
            and row.improvement.percent < -percent
            and (table, row) not in certain
        ]

    def not_non_inferior(self, percent: float) -> list[tuple[Table, TableRow]]:
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

    def regressions(self, percent: float) -> list[tuple[Table, TableRow]]:
        """Rows in which the candidate's latency is higher by more than ``percent`` over the whole interval.

        One block has no interval, and so no regression that could not be noise.
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
