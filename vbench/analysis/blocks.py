"""Pairs trials by block and makes the table of two arms: which blocks count, and which do not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vbench.analysis.arms import Pair, Settings, matches
from vbench.analysis.drift import drift
from vbench.analysis.results import QuantileComparison, SecondaryComparison, Table, TableRow
from vbench.analysis.statistics import CONFIDENCE, WANTED_POINTS, improvement, log_ratios, mean
from vbench.analysis.trials import SweepTrial
from vbench.record.quantiles import PERCENTILES, requests_needed
from vbench.record.trial import Trial

LATENCY = "latency_mean_s"

STEADY_S_PER_REQUEST = "steady_s_per_request"
"""1 / ``steady_throughput_requests_per_s``: less is faster, as of a latency."""

SECONDARY_METRICS = (
    "latency_mean_first_half_s",
    "latency_mean_second_half_s",
    "steady_latency_mean_s",
    STEADY_S_PER_REQUEST,
    "makespan_s",
)
"""Compared like the mean latency, and shown in addition."""

Block = tuple[str, int, int, int]
"""Sweep, block number, load seed, and how many of the same came before."""

Blocks = Mapping[Block, SweepTrial]
"""Block -> the valid trial of one arm in one scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioTrials:
    """All trials of the compared arms in one scenario; sequences are in the order of the arms."""

    name: str
    valid: Sequence[Blocks]
    tried: Sequence[frozenset[Block]]
    """Blocks in which a trial of the arm was run or planned, each with 0 for its repeats."""


def counts(trial: Trial) -> bool:
    """Whether a trial takes part in a comparison."""
    return trial.valid and LATENCY in trial.metrics


def group(name: str, trials: Sequence[SweepTrial], arms: Sequence[Settings]) -> ScenarioTrials:
    """The trials of a scenario by arm and block."""
    by_arm = [[measured for measured in trials if matches(measured.trial, arm)] for arm in arms]
    return ScenarioTrials(
        name=name,
        valid=[_by_block([measured for measured in of_arm if counts(measured.trial)]) for of_arm in by_arm],
        tried=[
            frozenset((measured.sweep, measured.trial.block, measured.trial.seed, 0) for measured in of_arm)
            for of_arm in by_arm
        ],
    )


def _by_block(trials: Sequence[SweepTrial]) -> Blocks:
    """An arm's trials by block: sweep, block number and load seed, which all arms of a block share.

    An arm that was measured again in the same block (single trials of an experiment) makes a further block,
    in order of start.
    """
    seen: dict[tuple[str, int, int], int] = {}
    blocks: dict[Block, SweepTrial] = {}
    for measured in trials:
        position = (measured.sweep, measured.trial.block, measured.trial.seed)
        blocks[*position, seen.get(position, 0)] = measured
        seen[position] = seen.get(position, 0) + 1
    return blocks


def label(block: Block) -> str:
    """A block as a sweep counts them while it runs, from 1, with its sweep and repeat if needed."""
    sweep, number, _, again = block
    return " ".join(filter(None, [sweep[:8], str(number + 1), f"({again + 1})" if again else ""]))


def _labels(blocks: Sequence[Block]) -> Iterator[str]:
    """As ``label``, without the sweep if there is only one."""
    one = len({sweep for sweep, *_ in blocks}) == 1
    for sweep, number, seed, again in blocks:
        yield label(("" if one else sweep, number, seed, again))


def table(
    pair: Pair,
    arms: Sequence[Settings],
    titles: Sequence[str],
    groups: Sequence[ScenarioTrials],
    wanted_points: float = WANTED_POINTS,
    confidence: float = CONFIDENCE,
) -> Table:
    """One row per scenario in which a trial of either arm was planned or run.

    ``wanted_points``: the half-width that intervals of improvements should have; ``confidence``: that of
    these intervals.
    """
    old, new = arms.index(pair.baseline), arms.index(pair.candidate)
    rows = [
        _row(scenario, old, new, titles, wanted_points, confidence)
        for scenario in groups
        if scenario.tried[old] or scenario.tried[new]
    ]
    return Table(baseline=titles[old], candidate=titles[new], rows=tuple(rows))


def _row(
    scenario: ScenarioTrials,
    old: int,
    new: int,
    titles: Sequence[str],
    wanted_points: float,
    confidence: float,
) -> TableRow:
    olds, news = scenario.valid[old], scenario.valid[new]
    both = [block for block in olds if block in news]
    baseline = [olds[block].trial.metrics[LATENCY] for block in both]
    candidate = [news[block].trial.metrics[LATENCY] for block in both]
    logs = log_ratios(baseline, candidate) if both else []
    trials = [olds[block].trial for block in both], [news[block].trial for block in both]
    return TableRow(
        scenario=scenario.name,
        baseline=mean(baseline) if both else None,
        candidate=mean(candidate) if both else None,
        improvement=improvement(baseline, candidate, wanted_points, confidence) if both else None,
        uncounted=tuple(_gaps(scenario, old, new, titles)),
        blocks=tuple(_labels(both)),
        log_ratios=tuple(logs),
        drift=drift(logs) if both else None,
        secondary=tuple(_secondary(*trials, confidence)),
        quantiles=tuple(_quantiles(*trials, confidence)),
    )


def _secondary(
    olds: Sequence[Trial], news: Sequence[Trial], confidence: float
) -> Iterator[SecondaryComparison]:
    for metric in SECONDARY_METRICS:
        if not olds or not all(_value(measured, metric) > 0 for measured in (*olds, *news)):
            continue
        baseline = [_value(measured, metric) for measured in olds]
        candidate = [_value(measured, metric) for measured in news]
        yield SecondaryComparison(
            metric=metric,
            baseline=mean(baseline),
            candidate=mean(candidate),
            improvement=improvement(baseline, candidate, confidence=confidence),
            beyond_mean=improvement(
                [value / old.metrics[LATENCY] for value, old in zip(baseline, olds, strict=True)],
                [value / new.metrics[LATENCY] for value, new in zip(candidate, news, strict=True)],
                confidence=confidence,
            ),
        )


def _value(trial: Trial, metric: str) -> float:
    """A metric, or what follows from one; 0 if the trial does not have it."""
    if metric == STEADY_S_PER_REQUEST:
        rate = trial.metrics.get("steady_throughput_requests_per_s", 0.0)
        return 1 / rate if rate else 0.0
    return trial.metrics.get(metric, 0.0)


def _quantiles(
    olds: Sequence[Trial], news: Sequence[Trial], confidence: float
) -> Iterator[QuantileComparison]:
    if not olds:
        return
    requests = int(min(measured.metrics["requests"] for measured in (*olds, *news)))
    for name, percent in PERCENTILES.items():
        metric, needed = f"latency_{name}_s", requests_needed(percent)
        has_all = requests >= needed and all(_value(measured, metric) > 0 for measured in (*olds, *news))
        baseline = [_value(measured, metric) for measured in olds]
        candidate = [_value(measured, metric) for measured in news]
        yield QuantileComparison(
            metric=metric,
            requests=requests,
            requests_needed=needed,
            baseline=mean(baseline) if has_all else None,
            candidate=mean(candidate) if has_all else None,
            improvement=improvement(baseline, candidate, confidence=confidence) if has_all else None,
        )


def _gaps(scenario: ScenarioTrials, old: int, new: int, titles: Sequence[str]) -> Iterator[str]:
    """``block 2: no valid trial of OSS (2 connections)``: blocks that do not count, by what is missing."""
    olds, news = scenario.valid[old], scenario.valid[new]
    seen = {(*block[:3], 0) for block in (*olds, *news)}
    neither = (scenario.tried[old] | scenario.tried[new]) - seen
    lacking: dict[str, list[str]] = {}
    for block in sorted({*olds, *news, *neither}):
        if block in olds and block in news:
            continue
        name = "either arm" if block in neither else titles[new] if block in olds else titles[old]
        lacking.setdefault(name, []).append(label(block))
    for name, labels in lacking.items():
        yield f"block{'s' if len(labels) > 1 else ''} {', '.join(labels)}: no valid trial of {name}"
