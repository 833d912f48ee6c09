"""What a comparison keeps of its trials: results by arm, those that do not count, and what qualifies them."""

from collections.abc import Sequence

from vbench.analysis import bottleneck
from vbench.analysis.arms import Settings, single_node_caveats
from vbench.analysis.blocks import LATENCY, Blocks, ScenarioTrials, counts, label
from vbench.analysis.latency_breakdown import latency_breakdown
from vbench.analysis.results import Arm, ExcludedTrial, Scenario, Table, TrialResult
from vbench.analysis.statistics import mean
from vbench.analysis.transfer_rate import transfer_rate
from vbench.analysis.trials import SweepTrial, TrialSet
from vbench.record.files import read_requests, read_spans
from vbench.record.open_load_metrics import without_mean
from vbench.record.trial import Trial, result_caveats
from vbench.validity import rule_bounds, speed


def scenario_results(of: ScenarioTrials, arms: Sequence[Settings], titles: Sequence[str]) -> Scenario:
    """The results of a scenario's valid trials, arm by arm; RecordError if a trial's lines cannot be read."""
    columns = zip(titles, arms, of.valid, strict=True)
    return Scenario(
        name=of.name, arms=tuple(arm_results(title, arm, blocks) for title, arm, blocks in columns if blocks)
    )


def arm_results(name: str, settings: Settings, blocks: Blocks) -> Arm:
    """The results of an arm's valid trials, of which there is one; RecordError if a trial's lines cannot be
    read."""
    trials = tuple(_trial_result(label(block), measured) for block, measured in blocks.items())
    return Arm(
        name=name,
        settings=dict(settings),
        latency=mean([trial.latency_mean_s for trial in trials]),
        trials=trials,
        transfer_rate=transfer_rate([measured.trial for measured in blocks.values()]),
    )


def _trial_result(block: str, measured: SweepTrial) -> TrialResult:
    requests = read_requests(measured.folder)
    spans = read_spans(measured.folder)
    return TrialResult(
        folder=measured.trial.folder,
        block=block,
        latency_mean_s=measured.trial.metrics[LATENCY],
        latencies_s=tuple(request.latency_s for request in requests),
        parts_s=latency_breakdown(requests, spans),
        metrics=dict(measured.trial.metrics),
        phases_s=dict(measured.trial.phases_s),
        bottleneck=bottleneck.of_record(measured.trial, measured.folder),
        loosened=tuple(rule_bounds.loosened(measured.trial.config)),
    )


def excluded_trials(trial_set: TrialSet) -> list[ExcludedTrial]:
    """Trials that do not count or left no readable record, and why."""
    out = [
        ExcludedTrial(
            folder=measured.trial.folder,
            arm=measured.trial.arm,
            block=str(measured.trial.block + 1),
            reason=_reason(measured.trial),
        )
        for measured in trial_set.trials
        if not counts(measured.trial)
    ]
    out += [
        ExcludedTrial(
            folder=missing.folder,
            arm=missing.arm,
            block="" if missing.block is None else str(missing.block + 1),
            reason=missing.reason,
        )
        for missing in trial_set.missing
    ]
    return out


def _reason(trial: Trial) -> str:
    if trial.error:
        return trial.error
    return "; ".join(rule.line for rule in trial.broken) or without_mean(trial.metrics)


def caveats(trials: Sequence[Trial], tables: Sequence[Table]) -> list[str]:
    """What a reader must know before drawing conclusions from the tables."""
    lines = []
    if not trials:
        lines.append(
            "No trial of these arms is valid, so there is nothing to compare. The excluded trials say why."
        )
    if any(row.improvement and row.improvement.blocks == 1 for table in tables for row in table.rows):
        lines.append(
            "One block: no confidence interval, so differences may be noise. Run several with blocks=5."
        )
    lines += single_node_caveats(trials)
    lines += [*result_caveats(trials), *rule_bounds.caveats(trials), *speed.caveats(trials)]
    scales = sorted({trial.network.scale for trial in trials if trial.network})
    if scales:
        text = " and ".join(f"1/{scale:g} of the rates" if scale != 1 else "the rates" for scale in scales)
        lines.append(f"Measured on an emulated cluster: its links have {text} in its configuration.")
    return lines
