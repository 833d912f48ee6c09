"""Compares a sweep with one that was measured before and kept as a baseline: arm by arm, without pairs.

Both ran at different times. So there are no blocks in which the machine was the same for both, and what
changed on it meanwhile counts as a difference. Welch's t test takes the scatter of each sweep.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vbench.analysis import comparability, provenance, row_decisions
from vbench.analysis.audit import audit
from vbench.analysis.blocks import LATENCY, Block, Blocks, counts
from vbench.analysis.decisions import Estimate, decide_estimates, unpaired
from vbench.analysis.power import MOST_BLOCKS, SIGNIFICANCE
from vbench.analysis.results import Comparison, Scenario, Table, TableRow
from vbench.analysis.sources import Provenance
from vbench.analysis.statistics import (
    WANTED_POINTS,
    Improvement,
    improvement_of,
    improvement_without_interval,
    mean,
    t_quantile,
    width_points,
)
from vbench.analysis.trial_results import arm_results, caveats, excluded_trials
from vbench.analysis.trials import SweepTrial, TrialSet
from vbench.config.leaves import leaves
from vbench.errors import ConfigError
from vbench.record.question import question
from vbench.record.trial import Trial

THIS = "this sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The trials of an arm in both sweeps."""

    name: str
    old: Sequence[SweepTrial]
    new: Sequence[SweepTrial]


def compare_with_baseline(
    baseline: TrialSet,
    candidate: TrialSet,
    name: str,
    saved: str,
    across: Sequence[str] = (),
    wanted_points: float = WANTED_POINTS,
    equivalence_percent: float | None = None,
) -> Comparison:
    """Compare each arm of ``candidate`` that ``baseline`` has measured, too.

    Args:
        baseline: the sweep that was saved.
        candidate: the new one.
        name: of the baseline.
        saved: when it was saved, as ISO 8601.
        across: aspects in which trials may differ, besides their code.
        wanted_points: half-width that intervals should have.
        equivalence_percent: difference below which they are equivalent; by default that of the trials.

    Raises:
        ConfigError: they have no arm in common, or their trials are of different machines or clips.
    """
    olds, old_ledger = audit(baseline)
    news, new_ledger = audit(candidate)
    pairs = list(_pairs([one.measured for one in olds], [one.measured for one in news]))
    if not pairs:
        raise ConfigError(_nothing_in_common(name, baseline.trials[0].trial, candidate.trials[0].trial))
    share = 1.0 if candidate.look is None else candidate.look.share
    title = f"baseline {name} ({saved[:10]})"
    notes = [
        f"The baseline was saved on {saved[:10]}, so trials are not paired: what has changed on the machine"
        f" since it was measured counts as a difference. For a decision, run both as arms of one sweep."
    ]
    estimates, rows = list(map(_estimate, pairs)), []
    for pair, estimate in zip(pairs, estimates, strict=True):
        trials = [measured.trial for measured in (*pair.old, *pair.new) if counts(measured.trial)]
        notes += _differences(trials, pair.name, across)
        rows.append(_row(pair, estimate, wanted_points, 1 - SIGNIFICANCE * share))
    if equivalence_percent is None:
        equivalence_percent = row_decisions.equivalence_percent(candidate.trials)
    table = Table(
        baseline=title,
        candidate=THIS,
        rows=tuple(_decided(rows, estimates, candidate, equivalence_percent, share)),
    )
    usable = [one.measured.trial for one in (*olds, *news) if counts(one.measured.trial)]
    return Comparison(
        name=candidate.name,
        tables=(table,),
        scenarios=tuple(_scenario(pair, title) for pair in pairs if any(map(_counted, (pair.old, pair.new)))),
        excluded=(*excluded_trials(baseline), *excluded_trials(candidate)),
        notes=tuple(dict.fromkeys([*notes, *caveats(usable, [table])])),
        is_paired=False,
        look=candidate.look,
        provenance=_both(provenance.of(olds, old_ledger), provenance.of(news, new_ledger), name),
    )


def _differences(trials: Sequence[Trial], name: str, across: Sequence[str]) -> list[str]:
    """Notes on what differs; other code is what such a comparison is for."""
    notes = comparability.check(trials, name, [*across, "code"])
    if "code" in across:
        return notes
    return [note.replace(" Compared anyway, by --across code.", "") for note in notes]


def _key(trial: Trial) -> tuple[str, str]:
    return question(trial.config), str(trial.config.get("label", ""))


def _by_key(trials: Sequence[SweepTrial]) -> dict[tuple[str, str], list[SweepTrial]]:
    """Trials by what they measure and their label."""
    found: dict[tuple[str, str], list[SweepTrial]] = {}
    for measured in trials:
        found.setdefault(_key(measured.trial), []).append(measured)
    return found


def _pairs(olds: Sequence[SweepTrial], news: Sequence[SweepTrial]) -> Iterator[_Pair]:
    """The arms that both sweeps have, in the order of the new one."""
    known = _by_key(olds)
    for key, new in _by_key(news).items():
        if key in known:
            yield _Pair(name=new[0].trial.arm, old=known[key], new=new)


def _nothing_in_common(name: str, old: Trial, new: Trial) -> str:
    flat = dict(leaves(old.config)), dict(leaves(new.config))
    differing = [key for key in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(key) != flat[1].get(key)]
    kept = [key for key in differing if not key.startswith(("block", "label", "outputs", "tracking."))]
    return (
        f"no arm of this sweep measures what an arm of the baseline {name} does; their first trials differ in"
        f" {', '.join(kept[:5]) or 'their label'}: run the sweep with the same configuration"
    )


def _counted(trials: Sequence[SweepTrial]) -> list[float]:
    """Mean latencies of those that count, in s."""
    return [measured.trial.metrics[LATENCY] for measured in trials if counts(measured.trial)]


def _estimate(pair: _Pair) -> Estimate | None:
    old, new = ([math.log(value) for value in _counted(trials)] for trials in (pair.old, pair.new))
    return unpaired(old, new) if min(len(old), len(new)) > 1 else None


def _row(pair: _Pair, estimate: Estimate | None, wanted_points: float, confidence: float) -> TableRow:
    old, new = _counted(pair.old), _counted(pair.new)
    lacking = [name for name, values in (("the baseline", old), (THIS, new)) if not values]
    return TableRow(
        scenario=pair.name,
        baseline=mean(old) if old else None,
        candidate=mean(new) if new else None,
        improvement=None if lacking else _improvement(estimate, old, new, wanted_points, confidence),
        uncounted=tuple(f"no valid trial of {name}" for name in lacking),
    )


def _improvement(
    estimate: Estimate | None,
    old: Sequence[float],
    new: Sequence[float],
    wanted_points: float,
    confidence: float,
) -> Improvement:
    if estimate is None:
        centre = statistics.fmean(map(math.log, new)) - statistics.fmean(map(math.log, old))
        return improvement_without_interval(centre, wanted_points, confidence)
    half = t_quantile(estimate.degrees, confidence) * estimate.standard_error
    return improvement_of(
        estimate.centre,
        half,
        estimate.blocks,
        wanted_points,
        _blocks_for_precision(estimate, wanted_points),
        confidence,
    )


def _blocks_for_precision(estimate: Estimate, points: float) -> int | None:
    """The fewest blocks of each arm whose interval has at most this half-width; None for more than 1000."""
    for blocks in range(2, MOST_BLOCKS + 1):
        half = t_quantile(2 * (blocks - 1)) * estimate.spread / math.sqrt(blocks)
        if width_points(estimate.centre, half) <= points:
            return blocks
    return None


def _decided(
    rows: Sequence[TableRow],
    estimates: Sequence[Estimate | None],
    candidate: TrialSet,
    equivalence_percent: float,
    share: float,
) -> Iterator[TableRow]:
    """The rows with their decisions."""
    judged = [estimate for row, estimate in zip(rows, estimates, strict=True) if row.improvement is not None]
    block_s = row_decisions.block_s(candidate.trials)
    decisions = iter(decide_estimates(judged, equivalence_percent, block_s, share))
    for row in rows:
        yield row if row.improvement is None else replace(row, decision=next(decisions))


def _scenario(pair: _Pair, title: str) -> Scenario:
    sides: Mapping[str, Blocks] = {title: _blocks(pair.old), THIS: _blocks(pair.new)}
    return Scenario(
        name=pair.name,
        arms=tuple(
            arm_results(name, pair.new[0].trial.swept, blocks) for name, blocks in sides.items() if blocks
        ),
    )


def _blocks(trials: Sequence[SweepTrial]) -> dict[Block, SweepTrial]:
    return {
        (measured.sweep, measured.trial.block, measured.trial.seed, 0): measured
        for measured in trials
        if counts(measured.trial)
    }


def _both(old: Provenance, new: Provenance, name: str) -> Provenance:
    return Provenance(
        ledger=f"Baseline: {old.ledger} This sweep: {new.ledger}",
        faults=(*(f"baseline {name}: {fault}" for fault in old.faults), *new.faults),
        remarks=(*old.remarks, *new.remarks),
        earlier=new.earlier,
        sources=(*(replace(source, sweep=f"baseline {name}") for source in old.sources), *new.sources),
        superseded=(*old.superseded, *new.superseded),
    )
