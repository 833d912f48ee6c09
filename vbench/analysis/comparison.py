"""From trials to a comparison: scenarios, pairs of arms, blocks that count, and what was left out."""

from collections.abc import Mapping, Sequence

from vbench.analysis import same
from vbench.analysis.arms import (
    RUNTIME_KEYS,
    Pair,
    Settings,
    arm_name,
    connections,
    matches,
    pairs,
    plain,
    scenario_keys,
    scenario_name,
    value_of,
)
from vbench.analysis.limits import limits
from vbench.analysis.results import Arm, Comparison, LeftOut, Point, Row, Scenario, Table
from vbench.analysis.stages import where_it_went
from vbench.analysis.statistics import improvement, mean
from vbench.analysis.trials import Found, Measured
from vbench.errors import ConfigError
from vbench.record import Trial, read_machines, read_requests, read_spans

LATENCY = "latency_mean_s"

Block = tuple[str, int, int, int]
"""Sweep, number of the round, load seed, and how many of the same came before."""

Blocks = Mapping[Block, Measured]
"""Block -> the valid trial of one arm in one scenario."""


def compare(
    found: Found,
    baseline: Settings | None = None,
    candidate: Settings | None = None,
    across: Sequence[str] = (),
) -> Comparison | None:
    """Compare arms over blocks; None where neither arm is named and nothing is swept that has a default.

    ``across``: kinds (machine, clip, code) in which trials may differ. ConfigError for arms that no trial
    has, NotComparable for trials of different machines, clips or code.
    """
    wanted = pairs([each.trial for each in found.trials], found.swept, baseline, candidate)
    if not wanted:
        return None
    compared = tuple(wanted[0].baseline)
    valid = [each for each in found.trials if _counts(each.trial)]
    arms = _arms(wanted, valid)
    usable = [each for each in valid if any(matches(each.trial, arm) for arm in arms)]
    if not usable:
        raise ConfigError(
            f"{found.name}: no trial of the arms to compare is valid; {_why_first(found.trials)}"
        )
    keys = scenario_keys([each.trial for each in usable], found.swept, compared)
    groups = _grouped(usable, keys)
    names = {name: scenario_name(group[0].trial, keys) for name, group in groups.items()}
    notes: list[str] = []
    blocks: dict[tuple[str, ...], list[Blocks]] = {}
    for key, group in groups.items():
        notes += same.check([each.trial for each in group], names[key], across)
        blocks[key] = [_by_block([each for each in group if matches(each.trial, arm)]) for arm in arms]
    titles = [_title(usable, arm) for arm in arms]
    tables = [_table(pair, arms, titles, blocks, names) for pair in wanted]
    scenarios = [
        Scenario(
            name=names[key],
            arms=tuple(
                _arm(title, arm, each)
                for title, arm, each in zip(titles, arms, blocks[key], strict=True)
                if each
            ),
        )
        for key in groups
    ]
    return Comparison(
        name=found.name,
        tables=tuple(tables),
        scenarios=tuple(scenarios),
        left_out=tuple(_left_out(found)),
        notes=tuple(dict.fromkeys([*notes, *_cautions(usable, tables)])),
    )


def _arms(wanted: Sequence[Pair], trials: Sequence[Measured]) -> list[Settings]:
    """Every arm once: by connections where the runtime is compared, else baselines before candidates."""
    sides = [*(pair.baseline for pair in wanted), *(pair.candidate for pair in wanted)]
    arms = [side for position, side in enumerate(sides) if side not in sides[:position]]
    if not set(arms[0]) <= set(RUNTIME_KEYS):
        return arms

    def count(arm: Settings) -> int:
        return max((connections(each.trial) for each in trials if matches(each.trial, arm)), default=0)

    return sorted(arms, key=count)


def _counts(trial: Trial) -> bool:
    return trial.valid and LATENCY in trial.metrics


def _grouped(trials: Sequence[Measured], keys: Sequence[str]) -> dict[tuple[str, ...], list[Measured]]:
    """Trials by scenario, in the order of the keys' values."""
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for each in trials:
        groups.setdefault(tuple(value_of(each.trial, key) or "null" for key in keys), []).append(each)

    def order(name: tuple[str, ...]) -> list[tuple[bool, float, str]]:
        return [_size(value) for value in name]

    return {name: groups[name] for name in sorted(groups, key=order)}


def _size(value: str) -> tuple[bool, float, str]:
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _by_block(trials: Sequence[Measured]) -> Blocks:
    """An arm's trials by block: sweep, round and load seed, which all arms of a block share. An arm measured
    again in the same block (single trials of an experiment) makes a further block, in the order of start."""
    counts: dict[tuple[str, int, int], int] = {}
    blocks: dict[Block, Measured] = {}
    for each in trials:
        place = (each.sweep, each.trial.block, each.trial.seed)
        blocks[*place, counts.get(place, 0)] = each
        counts[place] = counts.get(place, 0) + 1
    return blocks


def _label(block: Block) -> str:
    """A block as a sweep counts them while it runs, from 1, with what else tells it apart."""
    sweep, number, _, again = block
    return " ".join(filter(None, [sweep[:8], str(number + 1), f"({again + 1})" if again else ""]))


def _title(trials: Sequence[Measured], arm: Settings) -> str:
    """An arm's name; its settings where it is not called the same in all scenarios."""
    names = {arm_name(each.trial, arm) for each in trials if matches(each.trial, arm)}
    if len(names) == 1:
        return names.pop()
    return " ".join(f"{key}={plain(value)}" for key, value in arm.items())


def _table(
    pair: Pair,
    arms: Sequence[Settings],
    titles: Sequence[str],
    blocks: Mapping[tuple[str, ...], Sequence[Blocks]],
    names: Mapping[tuple[str, ...], str],
) -> Table:
    old, new = arms.index(pair.baseline), arms.index(pair.candidate)
    rows = [
        _row(names[key], each[old], each[new], titles[old], titles[new])
        for key, each in blocks.items()
        if each[old] or each[new]
    ]
    return Table(baseline=titles[old], candidate=titles[new], rows=tuple(rows))


def _row(scenario: str, old: Blocks, new: Blocks, old_name: str, new_name: str) -> Row:
    both = [block for block in old if block in new]
    left_out = [f"block {_label(block)}: no valid trial of {new_name}" for block in old if block not in new]
    left_out += [f"block {_label(block)}: no valid trial of {old_name}" for block in new if block not in old]
    baseline = [old[block].trial.metrics[LATENCY] for block in both]
    candidate = [new[block].trial.metrics[LATENCY] for block in both]
    return Row(
        scenario=scenario,
        baseline=mean(baseline) if both else None,
        candidate=mean(candidate) if both else None,
        improvement=improvement(baseline, candidate) if both else None,
        left_out=tuple(left_out),
    )


def _arm(name: str, settings: Settings, blocks: Blocks) -> Arm:
    points = tuple(_point(_label(block), each) for block, each in blocks.items())
    return Arm(
        name=name,
        settings=dict(settings),
        latency=mean([point.latency_mean_s for point in points]),
        points=points,
    )


def _point(block: str, measured: Measured) -> Point:
    requests = read_requests(measured.folder)
    spans = read_spans(measured.folder)
    return Point(
        folder=measured.trial.folder,
        block=block,
        latency_mean_s=measured.trial.metrics[LATENCY],
        latencies_s=tuple(request.latency_s for request in requests),
        parts_s=where_it_went(requests, spans),
        metrics=dict(measured.trial.metrics),
        limits=limits(measured.trial, spans, read_machines(measured.folder)),
    )


def _left_out(found: Found) -> list[LeftOut]:
    out = [
        LeftOut(
            folder=each.trial.folder,
            arm=each.trial.arm,
            block=str(each.trial.block + 1),
            reason=_reason(each.trial),
        )
        for each in found.trials
        if not _counts(each.trial)
    ]
    out += [
        LeftOut(folder=each.folder, arm=each.arm, block=str(each.block + 1), reason="it left no record")
        for each in found.missing
    ]
    return out


def _reason(trial: Trial) -> str:
    broken = [f"{rule.name}: {rule.found}" for rule in trial.rules if not rule.holds]
    if trial.error:
        return trial.error
    return "; ".join(broken) or "it has no mean latency"


def _why_first(trials: Sequence[Measured]) -> str:
    first = next((each.trial for each in trials if not _counts(each.trial)), None)
    return f"the first: {_reason(first)}" if first else "all trials are of other arms"


def _cautions(trials: Sequence[Measured], tables: Sequence[Table]) -> list[str]:
    """What a reader must know before concluding anything from the tables."""
    lines = []
    if any(row.improvement and row.improvement.blocks == 1 for table in tables for row in table.rows):
        lines.append("One block has no interval: such a difference is not told from noise.")
    if any(len(each.trial.config["cluster"]["nodes"]) == 1 for each in trials):
        lines.append("One node has no peers, so the runtime setting cannot make a difference on it.")
    scales = sorted({each.trial.network.scale for each in trials if each.trial.network})
    if scales:
        text = " and ".join(f"1/{scale:g} of the rates" if scale != 1 else "the rates" for scale in scales)
        lines.append(
            f"Measured on an emulated cluster, whose links have {text} that its configuration names."
        )
    return lines
