"""The effects of a sweep that screens settings, metric by metric, from the metrics of its valid trials."""

import math
from collections.abc import Iterator, Mapping, Sequence

from vbench.analysis.arms import plain
from vbench.analysis.blocks import LATENCY
from vbench.analysis.effects import LogEffect, contrast, family, paired, unsteady
from vbench.analysis.screening_results import Interaction, MetricEffects, SettingEffect
from vbench.analysis.statistics import log_ratios
from vbench.config.designs import Levels
from vbench.config.fractional_factorial import LETTERS, interactions, pair_name
from vbench.record.sweep_design import SweepDesign

THROUGHPUTS = ("throughput_requests_per_s", "transfer_mbps")
"""Screened in addition to the mean latency: the first that all trials have."""

UNSTEADY = 0.05
"""Largest p at which an effect is said to change from block to block more than the others."""

ArmMetrics = Mapping[int, Mapping[str, float]]
"""Block number -> metrics of an arm's valid trial."""


def metrics_of(trials: Sequence[Mapping[str, float]]) -> list[str]:
    """The metrics to screen: mean latency, and the first throughput that all trials have."""
    also = (name for name in THROUGHPUTS if all(metrics.get(name, 0) > 0 for metrics in trials))
    return [LATENCY, *list(also)[:1]] if trials else [LATENCY]


def one_way(
    design: SweepDesign, levels: Sequence[Levels], arms: Sequence[ArmMetrics], wanted_points: float
) -> list[MetricEffects]:
    """Each arm against the first, over the blocks in which both are valid."""
    names = metrics_of([metrics for arm in arms for metrics in arm.values()])
    return [
        MetricEffects(
            metric=metric,
            settings=tuple(_changes(design, levels, arms, metric, wanted_points)),
            interactions=(),
        )
        for metric in names
    ]


def _changes(
    design: SweepDesign,
    levels: Sequence[Levels],
    arms: Sequence[ArmMetrics],
    metric: str,
    wanted_points: float,
) -> Iterator[SettingEffect]:
    baseline, *others = arms
    effects: list[LogEffect | None] = []
    for arm in others:
        both = sorted(set(baseline) & set(arm))
        ratios = [log_ratios([baseline[block][metric]], [arm[block][metric]])[0] for block in both]
        effects.append(paired(ratios) if both else None)
    known = iter(family([effect for effect in effects if effect is not None], wanted_points))
    for arm_levels, effect in zip(levels[1:], effects, strict=True):
        place = next(place for place, level in enumerate(arm_levels) if level)
        factor = design.factors[place]
        yield SettingEffect(
            letter="",
            key=factor.key,
            baseline=plain(factor.values[0]),
            value=plain(factor.values[arm_levels[place]]),
            effect=None if effect is None else next(known),
        )


def fractional(
    design: SweepDesign,
    levels: Sequence[Levels],
    arms: Sequence[ArmMetrics],
    blocks: Sequence[int],
    wanted_points: float,
) -> list[MetricEffects]:
    """Each setting, and each string of aliased interactions; ``blocks``: those in which all arms are
    valid."""
    strings = interactions(len(design.factors))
    effects = []
    for metric in metrics_of([arm[block] for arm in arms for block in blocks]):
        logs = _logs(arms, blocks, metric)
        alone = [contrast(_signs(levels, (place,)), logs) for place in range(len(design.factors))]
        # Twice the contrast: the effect at the other setting's second value against that at its first.
        joint = [contrast(_signs(levels, string[0]), logs, scale=2) for string in strings]
        settings = (
            SettingEffect(
                letter=letter,
                key=factor.key,
                baseline=plain(factor.values[0]),
                value=plain(factor.values[1]),
                effect=effect,
            )
            for letter, factor, effect in zip(
                LETTERS, design.factors, family(alone, wanted_points), strict=False
            )
        )
        together = (
            Interaction(pairs=tuple(map(pair_name, string)), effect=effect)
            for string, effect in zip(strings, family(joint, wanted_points), strict=True)
        )
        effects.append(MetricEffects(metric=metric, settings=tuple(settings), interactions=tuple(together)))
    return effects


def unsteady_settings(
    design: SweepDesign, levels: Sequence[Levels], arms: Sequence[ArmMetrics], blocks: Sequence[int]
) -> list[str]:
    """A sentence per setting whose effect on the latency changes over the blocks more than the others'."""
    columns = [_signs(levels, (place,)) for place in range(len(design.factors))]
    tests = unsteady(columns, _logs(arms, blocks, LATENCY))
    return [
        f"The effect of {factor.key} changes from block to block more than the other effects do"
        f" (p = {p:.2g}): its interval is too narrow."
        for factor, p in zip(design.factors, tests, strict=True)
        if p <= UNSTEADY
    ]


def _logs(arms: Sequence[ArmMetrics], blocks: Sequence[int], metric: str) -> list[list[float]]:
    """Blocks x arms."""
    return [[math.log(arm[block][metric]) for arm in arms] for block in blocks]


def _signs(levels: Sequence[Levels], factors: tuple[int, ...]) -> list[int]:
    """The product of these factors' levels, -1 and +1, in each run."""
    return [math.prod(2 * run[place] - 1 for place in factors) for run in levels]
