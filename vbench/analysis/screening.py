"""Makes a comparison from a sweep that screens settings: which blocks count, and what each setting does."""

import math
from collections.abc import Sequence

from vbench.analysis import comparability, interleaving, provenance
from vbench.analysis.arms import Pair, Settings, matches, plain, scenario_keys, scenario_name
from vbench.analysis.blocks import LATENCY, Blocks, ScenarioTrials, counts, group, table
from vbench.analysis.effects import LogEffect, contrast, family, paired, unsteady
from vbench.analysis.placeholders import placeholders
from vbench.analysis.results import Comparison, Provenance
from vbench.analysis.screening_results import Interaction, MetricEffects, Screening, SettingEffect
from vbench.analysis.statistics import log_ratios
from vbench.analysis.trial_results import caveats, excluded_trials, scenario_results
from vbench.analysis.trials import TrialSet
from vbench.config.designs import ONEWAY, Levels, arms
from vbench.config.fractional_factorial import LETTERS, interactions, pair_name
from vbench.config.quoting import resume_command
from vbench.errors import ChangedRecordError, ConfigError
from vbench.record.sweep_design import SweepDesign
from vbench.record.trial import Trial

THROUGHPUTS = ("throughput_requests_per_s", "transfer_mbps")
"""Screened in addition to the mean latency: the first that all trials have."""

BASELINE = "baseline"
"""The arm with all first values."""

ALL_CHANGED = "all changed"
"""The arm with all second values."""

NAMED_ARMS = 3
"""Arms that a sentence names."""


def screen(
    trial_set: TrialSet, origin: Provenance, across: Sequence[str], wanted_points: float
) -> Comparison:
    """The effect of each setting of a sweep with design=oneway or fractional.

    ``trial_set``: audited; ``across``: aspects in which trials may differ. ConfigError if a fractional design
    has fewer than two whole blocks although several were planned, or none; NotComparableError for trials of
    different machines, clips or code.
    """
    design = trial_set.design
    levels = arms(design.name, {factor.key: factor.values for factor in design.factors})
    settings = [_settings(design, arm) for arm in levels]
    titles = [_title(design, arm) for arm in levels]
    every = [*trial_set.trials, *placeholders(trial_set)]
    of_arms = [measured for measured in every if any(matches(measured.trial, arm) for arm in settings)]
    if not of_arms:
        raise ConfigError(f"no trial of {trial_set.name} is of an arm of its design")
    compared = [factor.key for factor in design.factors]
    scenario = scenario_name(of_arms[0].trial, (), compared)
    usable = [measured.trial for measured in of_arms if counts(measured.trial)]
    _check_configurations(usable, settings, titles, compared)
    notes = comparability.check(usable, scenario, across)
    grouped = group(scenario, of_arms, settings)
    if design.name == ONEWAY:
        pairs = [Pair(baseline=settings[0], candidate=arm) for arm in settings[1:]]
        tables = tuple(table(pair, settings, titles, [grouped], wanted_points) for pair in pairs)
        screening = _one_way(design, levels, grouped)
    else:
        tables = ()
        _check_blocks(trial_set, grouped, titles, origin)
        screening = _fractional(design, levels, grouped, titles)
        notes += _unsteady(screening, levels, grouped)
    notes += interleaving.notes(usable)
    if len(screening.blocks) == 1 and not tables:
        notes.append("One block: no confidence interval, so effects may be noise. Run several with blocks=5.")
    return Comparison(
        name=trial_set.name,
        tables=tables,
        scenarios=(scenario_results(grouped, settings, titles),) if any(grouped.valid) else (),
        excluded=tuple(excluded_trials(trial_set)),
        notes=tuple(dict.fromkeys([*notes, *caveats(usable, tables)])),
        provenance=origin,
        screening=screening,
    )


def _settings(design: SweepDesign, levels: Levels) -> Settings:
    return {factor.key: factor.values[level] for factor, level in zip(design.factors, levels, strict=True)}


def _title(design: SweepDesign, levels: Levels) -> str:
    """What an arm changes: ``runtime=anyscale`` in a one-way design, else letters of its factors."""
    changed = [place for place, level in enumerate(levels) if level]
    if not changed:
        return BASELINE
    if len(changed) == len(levels) > 1:
        return ALL_CHANGED
    if design.name == ONEWAY:
        factor = design.factors[changed[0]]
        return f"{factor.key}={plain(factor.values[levels[changed[0]]])}"
    return "+".join(LETTERS[place] for place in changed)


def _check_configurations(
    trials: Sequence[Trial], settings: Sequence[Settings], titles: Sequence[str], compared: Sequence[str]
) -> None:
    """ConfigError if two trials of an arm differ in more than their block."""
    for arm, title in zip(settings, titles, strict=True):
        keys = scenario_keys([trial for trial in trials if matches(trial, arm)], (), compared)
        if keys:
            raise ConfigError(
                f"trials of {title} differ in {', '.join(keys)}, which the sweep does not vary: their effects"
                f" cannot be computed"
            )


def _by_number(blocks: Blocks) -> dict[int, dict[str, float]]:
    """Block number -> metrics of an arm's valid trial."""
    return {block[1]: dict(measured.trial.metrics) for block, measured in blocks.items()}


def _whole(grouped: ScenarioTrials) -> list[int]:
    """Numbers of the blocks in which every arm has a valid trial."""
    return sorted(set.intersection(*(set(_by_number(blocks)) for blocks in grouped.valid)))


def _planned(grouped: ScenarioTrials) -> list[int]:
    return sorted({block[1] for tried in grouped.tried for block in tried})


def _dropped(grouped: ScenarioTrials, titles: Sequence[str]) -> list[str]:
    """``block 2 has no valid trial of A+B``, for each block that is not whole."""
    sentences = []
    valid = [_by_number(blocks) for blocks in grouped.valid]
    for number in _planned(grouped):
        lacking = [title for title, arm in zip(titles, valid, strict=True) if number not in arm]
        if lacking:
            more = f" and {len(lacking) - NAMED_ARMS} more" if len(lacking) > NAMED_ARMS else ""
            sentences.append(
                f"block {number + 1} has no valid trial of {', '.join(lacking[:NAMED_ARMS])}{more}"
            )
    return sentences


def _check_blocks(
    trial_set: TrialSet, grouped: ScenarioTrials, titles: Sequence[str], origin: Provenance
) -> None:
    """ConfigError for fewer than two whole blocks, unless only one was asked for; ChangedRecordError if
    records were changed."""
    whole, planned = len(_whole(grouped)), len(_planned(grouped))
    if whole >= min(2, planned):
        return
    problem = (
        f"effects need {min(2, planned)} whole block{'s' if planned > 1 else ''}, and this sweep has {whole}"
        f" of {planned} ({'; '.join(_dropped(grouped, titles))})"
    )
    if origin.faults:
        raise ChangedRecordError(f"{problem}: {provenance.changed(origin.faults)}")
    remedy = f"finish it with {resume_command(trial_set.folder)}, or " if trial_set.missing else ""
    raise ConfigError(f"{problem}: {remedy}run a new sweep after the cause of invalid trials is gone")


def _metrics(trials: Sequence[dict[str, float]]) -> list[str]:
    """The metrics to screen: mean latency, and the first throughput that all trials have."""
    also = (name for name in THROUGHPUTS if all(metrics.get(name, 0) > 0 for metrics in trials))
    return [LATENCY, *list(also)[:1]] if trials else [LATENCY]


def _one_way(design: SweepDesign, levels: Sequence[Levels], grouped: ScenarioTrials) -> Screening:
    valid = [_by_number(blocks) for blocks in grouped.valid]
    metrics = []
    for metric in _metrics([measured for arm in valid for measured in arm.values()]):
        effects: list[LogEffect | None] = []
        for arm in valid[1:]:
            both = sorted(set(valid[0]) & set(arm))
            old, new = ([side[block][metric] for block in both] for side in (valid[0], arm))
            effects.append(paired(log_ratios(old, new)) if both else None)
        known = iter(family([effect for effect in effects if effect is not None]))
        settings = []
        for arm_levels, effect in zip(levels[1:], effects, strict=True):
            place = next(place for place, level in enumerate(arm_levels) if level)
            factor = design.factors[place]
            settings.append(
                SettingEffect(
                    letter="",
                    key=factor.key,
                    baseline=plain(factor.values[0]),
                    value=plain(factor.values[arm_levels[place]]),
                    effect=None if effect is None else next(known),
                )
            )
        metrics.append(MetricEffects(metric=metric, settings=tuple(settings), interactions=()))
    return Screening(
        scenario=grouped.name,
        design=design,
        runs=len(levels),
        blocks=tuple(str(number + 1) for number in _whole(grouped)),
        metrics=tuple(metrics),
    )


def _fractional(
    design: SweepDesign, levels: Sequence[Levels], grouped: ScenarioTrials, titles: Sequence[str]
) -> Screening:
    whole = _whole(grouped)
    valid = [_by_number(blocks) for blocks in grouped.valid]
    pairs = interactions(len(design.factors))
    metrics = []
    for metric in _metrics([arm[number] for arm in valid for number in whole]):
        logs = [[math.log(arm[number][metric]) for arm in valid] for number in whole]
        main = family([contrast(_signs(levels, (place,)), logs) for place in range(len(design.factors))])
        # Twice the contrast: the effect at the other setting's second value against that at its first.
        joint = family([contrast(_signs(levels, string[0]), logs, scale=2) for string in pairs])
        metrics.append(
            MetricEffects(
                metric=metric,
                settings=tuple(
                    SettingEffect(
                        letter=LETTERS[place],
                        key=factor.key,
                        baseline=plain(factor.values[0]),
                        value=plain(factor.values[1]),
                        effect=effect,
                    )
                    for place, (factor, effect) in enumerate(zip(design.factors, main, strict=True))
                ),
                interactions=tuple(
                    Interaction(pairs=tuple(map(pair_name, string)), effect=effect)
                    for string, effect in zip(pairs, joint, strict=True)
                ),
            )
        )
    return Screening(
        scenario=grouped.name,
        design=design,
        runs=len(levels),
        blocks=tuple(str(number + 1) for number in whole),
        metrics=tuple(metrics),
        dropped=tuple(_dropped(grouped, titles)),
    )


def _signs(levels: Sequence[Levels], factors: tuple[int, ...]) -> list[int]:
    """The product of these factors' levels, -1 and +1, in each run."""
    return [math.prod(2 * run[place] - 1 for place in factors) for run in levels]


def _unsteady(screening: Screening, levels: Sequence[Levels], grouped: ScenarioTrials) -> list[str]:
    """A sentence per setting whose effect on the latency changes over the blocks more than the others'."""
    valid = [_by_number(blocks) for blocks in grouped.valid]
    logs = [[math.log(arm[number][LATENCY]) for arm in valid] for number in _whole(grouped)]
    tests = unsteady([_signs(levels, (place,)) for place in range(len(screening.design.factors))], logs)
    return [
        f"The effect of {factor.key} changes from block to block more than the other effects do"
        f" (p = {p:.2g}): its interval is too narrow."
        for factor, p in zip(screening.design.factors, tests, strict=True)
        if p <= 0.05
    ]
