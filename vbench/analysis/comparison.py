"""Makes a comparison from trials: scenarios, pairs of arms, blocks that count, and excluded trials."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vbench.analysis import comparability, interleaving, provenance, row_decisions, screening
from vbench.analysis.arms import (
    RUNTIME_KEYS,
    Pair,
    Settings,
    arm_name,
    by_size,
    connections,
    matches,
    pairs,
    scenario_keys,
    scenario_name,
    settings_text,
    value_of,
)
from vbench.analysis.audit import AuditedTrial, audit
from vbench.analysis.blocks import ScenarioTrials, counts, group, table
from vbench.analysis.placeholders import placeholders
from vbench.analysis.power import SIGNIFICANCE
from vbench.analysis.results import Comparison
from vbench.analysis.sources import Provenance
from vbench.analysis.statistics import WANTED_POINTS
from vbench.analysis.trial_results import caveats, excluded_trials, scenario_results
from vbench.analysis.trials import SweepTrial, TrialSet
from vbench.errors import ChangedRecordError, ConfigError, VbenchError, first_line
from vbench.record.files import RecordError
from vbench.record.looks import AUTO
from vbench.record.trial import Trial


def compare(
    trial_set: TrialSet,
    baseline: Settings | None = None,
    candidate: Settings | None = None,
    across: Sequence[str] = (),
    wanted_points: float = WANTED_POINTS,
    equivalence_percent: float | None = None,
) -> Comparison | None:
    """Compare arms over blocks; None if neither arm is named and no swept key has a default.

    If no arm is named and the sweep's design screens settings, the comparison has the effect of each.

    Every record is audited first; one that is not what its trial wrote does not count. Scenarios come from
    all trials of these arms, including invalid ones and those that were only planned: a row without valid
    trials says so. ``across``: aspects (as in ``comparability.ASPECTS``) in which trials may differ;
    ``wanted_points``: the half-width that intervals should have; ``equivalence_percent``: the difference
    below which arms are equivalent, by default that of the trials' configuration. ConfigError for arms that
    no trial has or that share no scenario, NotComparableError for trials of different machines, clips or
    code, ChangedRecordError if records were changed so that they cannot be read together.
    """
    audited, ledgered = audit(trial_set)
    origin = provenance.of(audited, ledgered)
    try:
        share = 1.0 if trial_set.look is None else trial_set.look.share
        confidence = 1 - SIGNIFICANCE * share
        compared = _compare(
            trial_set, audited, origin, (baseline, candidate), across, wanted_points, confidence
        )
        if compared is None:
            return None
        if equivalence_percent is None:
            equivalence_percent = row_decisions.equivalence_percent(trial_set.trials)
        duration_s = row_decisions.block_s(trial_set.trials)
        return replace(
            compared,
            tables=row_decisions.decided(compared.tables, equivalence_percent, duration_s, share),
            look=trial_set.look,
        )
    except (VbenchError, RecordError, OSError):
        raise
    except Exception as error:
        if not origin.faults:
            raise
        raise ChangedRecordError(
            f"the trials cannot be compared ({type(error).__name__}: {first_line(error)}):"
            f" {provenance.changed(origin.faults)}"
        ) from error


def _compare(
    trial_set: TrialSet,
    audited: Sequence[AuditedTrial],
    origin: Provenance,
    sides: tuple[Settings | None, Settings | None],
    across: Sequence[str],
    wanted_points: float,
    confidence: float,
) -> Comparison | None:
    trial_set = replace(trial_set, trials=[trial.measured for trial in audited])
    if trial_set.design.screens and sides == (None, None):
        return screening.screen(trial_set, origin, across, wanted_points)
    every = [*trial_set.trials, *placeholders(trial_set)]
    wanted = pairs([measured.trial for measured in every], trial_set.swept, *sides)
    if not wanted:
        return None
    compared = tuple(wanted[0].baseline)
    arms = _arms(wanted, every)
    of_arms = [measured for measured in every if any(matches(measured.trial, arm) for arm in arms)]
    keys = scenario_keys([measured.trial for measured in of_arms], trial_set.swept, compared)
    titles = _titles(trial_set.trials, every, arms)
    notes = list(_unknown_looks(trial_set))
    groups: list[ScenarioTrials] = []
    for trials in _grouped(of_arms, keys).values():
        name = scenario_name(trials[0].trial, keys, compared)
        notes += comparability.check(
            [measured.trial for measured in trials if counts(measured.trial)], name, across
        )
        groups.append(group(name, trials, arms))
    _refuse_apart(wanted, arms, titles, groups, _separating(wanted[0], of_arms, keys))
    tables = tuple(table(pair, arms, titles, groups, wanted_points, confidence) for pair in wanted)
    usable = [measured.trial for measured in of_arms if counts(measured.trial)]
    for sweep in dict.fromkeys(measured.sweep for measured in of_arms):
        notes += interleaving.notes(
            [measured.trial for measured in of_arms if measured.sweep == sweep and counts(measured.trial)]
        )
    return Comparison(
        name=trial_set.name,
        tables=tables,
        scenarios=tuple(
            scenario_results(scenario, arms, titles) for scenario in groups if any(scenario.valid)
        ),
        excluded=tuple(excluded_trials(trial_set)),
        notes=tuple(dict.fromkeys([*notes, *caveats(usable, tables)])),
        provenance=origin,
    )


def _unknown_looks(trial_set: TrialSet) -> Iterator[str]:
    """A note if the trials are of a sweep that looks at its results, and it is not known how often it did."""
    if trial_set.look is None and any(_is_of_a_look(measured.trial) for measured in trial_set.trials):
        yield (
            "These trials are of a sweep with blocks=auto, or to which blocks were added. How often it looked"
            " at its results is not known here, so the intervals are not adjusted for it: compare the sweep's"
            " folder."
        )


def _is_of_a_look(trial: Trial) -> bool:
    """Whether its sweep looked at its results more than once."""
    blocks = trial.config.get("blocks")
    return blocks == AUTO or (isinstance(blocks, int) and trial.block >= blocks)


def _arms(wanted: Sequence[Pair], trials: Sequence[SweepTrial]) -> list[Settings]:
    """Every arm once: by connections if the runtime is compared, otherwise baselines before candidates."""
    sides = [*(pair.baseline for pair in wanted), *(pair.candidate for pair in wanted)]
    arms = [side for position, side in enumerate(sides) if side not in sides[:position]]
    if not set(arms[0]) <= set(RUNTIME_KEYS):
        return arms

    def count(arm: Settings) -> int:
        return max(
            (connections(measured.trial) for measured in trials if matches(measured.trial, arm)), default=0
        )

    return sorted(arms, key=count)


def _grouped(trials: Sequence[SweepTrial], keys: Sequence[str]) -> dict[tuple[str, ...], list[SweepTrial]]:
    """Trials by scenario, in the order of the keys' values."""
    groups: dict[tuple[str, ...], list[SweepTrial]] = {}
    for measured in trials:
        groups.setdefault(tuple(value_of(measured.trial, key) or "null" for key in keys), []).append(measured)

    def order(name: tuple[str, ...]) -> list[tuple[bool, float, str]]:
        return [by_size(value) for value in name]

    return {name: groups[name] for name in sorted(groups, key=order)}


def _titles(
    recorded: Sequence[SweepTrial], every: Sequence[SweepTrial], arms: Sequence[Settings]
) -> list[str]:
    """The arms' names, no two the same: with its settings if another has the same name."""
    titles = [_title(recorded, arm) or _title(every, arm) for arm in arms]
    return [
        f"{title} [{settings_text(arm)}]" if titles.count(title) > 1 else title
        for title, arm in zip(titles, arms, strict=True)
    ]


def _title(trials: Sequence[SweepTrial], arm: Settings) -> str:
    """An arm's name; its settings if the name is not the same in all scenarios; empty for no trial."""
    names = {arm_name(measured.trial, arm) for measured in trials if matches(measured.trial, arm)}
    if len(names) == 1:
        return names.pop()
    return settings_text(arm) if names else ""


def _separating(pair: Pair, trials: Sequence[SweepTrial], keys: Sequence[str]) -> list[str]:
    """Keys of scenarios whose values no trial of one side shares with a trial of the other."""

    def known(arm: Settings, key: str) -> set[str | None]:
        return {value_of(measured.trial, key) for measured in trials if matches(measured.trial, arm)}

    return [key for key in keys if not known(pair.baseline, key) & known(pair.candidate, key)]


def _refuse_apart(
    wanted: Sequence[Pair],
    arms: Sequence[Settings],
    titles: Sequence[str],
    groups: Sequence[ScenarioTrials],
    separating: Sequence[str],
) -> None:
    """ConfigError if no two arms share a scenario, so that nothing can be compared."""
    sides = [(arms.index(pair.baseline), arms.index(pair.candidate)) for pair in wanted]
    if any(scenario.tried[old] and scenario.tried[new] for old, new in sides for scenario in groups):
        return
    old, new = sides[0]
    keys = ", ".join(separating) or "several keys together"
    raise ConfigError(
        f"no trial of {titles[new]} has a counterpart of {titles[old]}: they also differ in {keys}. Name"
        " these keys in both --baseline and --candidate, or compare other arms"
    )
