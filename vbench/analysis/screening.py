"""Makes a comparison from a sweep that screens settings: its arms, and which of its blocks count."""

from collections.abc import Iterator, Sequence
from typing import NoReturn

from vbench.analysis import comparability, interleaving, provenance
from vbench.analysis.arms import Pair, Settings, matches, plain, scenario_keys, scenario_name
from vbench.analysis.blocks import Blocks, counts, group, table
from vbench.analysis.placeholders import placeholders
from vbench.analysis.results import Comparison, Table
from vbench.analysis.screening_effects import ArmMetrics, fractional, one_way, unsteady_settings
from vbench.analysis.screening_results import Screening
from vbench.analysis.sources import Provenance
from vbench.analysis.trial_results import caveats, excluded_trials, scenario_results
from vbench.analysis.trials import TrialSet
from vbench.config.designs import ONEWAY, Levels, arms
from vbench.config.fractional_factorial import LETTERS
from vbench.config.quoting import resume_command
from vbench.errors import ChangedRecordError, ConfigError
from vbench.record.sweep_design import SweepDesign
from vbench.record.trial import Trial

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

    ``trial_set``: audited; ``across``: aspects in which trials may differ; ``wanted_points``: the half-width
    that intervals should have. ConfigError if a fractional design has fewer than two whole blocks although
    several were planned, or none; NotComparableError for trials of different machines, clips or code.
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
    metrics = [_by_number(blocks) for blocks in grouped.valid]
    whole = sorted(set.intersection(*map(set, metrics)))
    tables: tuple[Table, ...] = ()
    dropped: list[str] = []
    if design.name == ONEWAY:
        pairs = [Pair(baseline=settings[0], candidate=arm) for arm in settings[1:]]
        tables = tuple(table(pair, settings, titles, [grouped], wanted_points) for pair in pairs)
        effects = one_way(design, levels, metrics, wanted_points)
    else:
        planned = sorted({block[1] for tried in grouped.tried for block in tried})
        dropped = list(_dropped(planned, titles, metrics))
        if len(whole) < min(2, len(planned)):
            _refuse(trial_set, origin, len(whole), len(planned), dropped)
        effects = fractional(design, levels, metrics, whole, wanted_points)
        notes += unsteady_settings(design, levels, metrics, whole)
        if len(whole) == 1:
            notes.append(
                "One block: no confidence interval, so effects may be noise. Run several with blocks=5."
            )
    return Comparison(
        name=trial_set.name,
        tables=tables,
        scenarios=(scenario_results(grouped, settings, titles),) if any(grouped.valid) else (),
        excluded=tuple(excluded_trials(trial_set)),
        notes=tuple(dict.fromkeys([*notes, *interleaving.notes(usable), *caveats(usable, tables)])),
        provenance=origin,
        screening=Screening(
            scenario=scenario,
            design=design,
            runs=len(levels),
            blocks=tuple(str(number + 1) for number in whole),
            metrics=tuple(effects),
            dropped=tuple(dropped),
        ),
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


def _by_number(blocks: Blocks) -> ArmMetrics:
    return {block[1]: measured.trial.metrics for block, measured in blocks.items()}


def _dropped(planned: Sequence[int], titles: Sequence[str], arms: Sequence[ArmMetrics]) -> Iterator[str]:
    """``block 2 has no valid trial of A+B``, for each block that is not whole."""
    for number in planned:
        lacking = [title for title, arm in zip(titles, arms, strict=True) if number not in arm]
        more = f" and {len(lacking) - NAMED_ARMS} more" if len(lacking) > NAMED_ARMS else ""
        names = "any arm" if len(lacking) == len(arms) else f"{', '.join(lacking[:NAMED_ARMS])}{more}"
        if lacking:
            yield f"block {number + 1} has no valid trial of {names}"


def _refuse(
    trial_set: TrialSet, origin: Provenance, whole: int, planned: int, dropped: Sequence[str]
) -> NoReturn:
    """ConfigError for too few whole blocks; ChangedRecordError if records were changed."""
    needed = "two whole blocks" if planned > 1 else "a whole block"
    problem = f"effects need {needed}, and this sweep has {whole} of {planned} ({'; '.join(dropped)})"
    if origin.faults:
        raise ChangedRecordError(f"{problem}: {provenance.changed(origin.faults)}")
    unfinished = trial_set.missing or any(
        measured.trial.status != "finished" for measured in trial_set.trials
    )
    remedy = f"finish it with {resume_command(trial_set.folder)}, or " if unfinished else ""
    raise ConfigError(f"{problem}: {remedy}run a new sweep once the cause of invalid trials is gone")
