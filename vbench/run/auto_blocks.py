"""``blocks=auto``: a sweep looks at its results now and then, and goes on until every row is decided."""

from pathlib import Path

from vbench.config.quoting import resume_command
from vbench.errors import ConfigError
from vbench.record.looks import FIRST, MOST_BLOCKS
from vbench.run import sweep
from vbench.run.compose import Composition
from vbench.run.progress import Display
from vbench.run.sweep import Sweep

UNDECIDED = ("inconclusive", "one block: no interval", None)
"""Verdicts for which a sweep goes on."""


def check_added(folder: Path, plan: Sweep, finished: int, blocks: int) -> None:
    """ConfigError unless ``blocks`` can be added to a sweep of which so many trials are finished."""
    if plan.design.screens:
        raise ConfigError(
            f"resume={folder} blocks={blocks}: no blocks can be added to a sweep with"
            f" design={plan.design.name}, whose effects are judged once: start a new sweep with"
            f" blocks={blocks}."
        )
    if finished < len(plan.trials):
        raise ConfigError(
            f"resume={folder} blocks={blocks}: blocks can only be added to a finished sweep, and this one"
            f" lacks {len(plan.trials) - finished} of its {len(plan.trials)} trials: run"
            f" {resume_command(folder)} first."
        )
    if not plan.blocks < blocks <= MOST_BLOCKS:
        example = min(plan.blocks + FIRST, MOST_BLOCKS)
        raise ConfigError(
            f"resume={folder} blocks={blocks}: blocks is the total, and the sweep already has {plan.blocks}:"
            f" give {plan.blocks + 1} to {MOST_BLOCKS:,}, such as blocks={example}."
        )


def next_blocks(display: Display, folder: Path, plan: Sweep, composition: Composition) -> Sweep | None:
    """The plan up to the next look; None if the sweep has ended: every row is decided, or there is no
    further look."""
    following = plan.looks.following(plan.blocks)
    if following is None:
        return None
    number = plan.looks.look(plan.blocks).number
    look = f"\nlook {number}, after {plan.blocks} blocks"
    verdicts = _verdicts(folder)
    if not any(verdicts):
        display.say(
            f"{look}: no row can be judged, so the sweep stops; the comparison below says why", style="red"
        )
        return None
    undecided = sum(verdict in UNDECIDED for verdict in verdicts)
    rows = f"{len(verdicts)} row{'' if len(verdicts) == 1 else 's'}"
    if not undecided:
        display.say(f"{look}: all decided ({rows}), so the sweep stops")
        return None
    display.say(f"{look}: {undecided} of {rows} undecided; running blocks {plan.blocks + 1} to {following}")
    return sweep.extend(folder, plan, composition, following)


def _verdicts(folder: Path) -> list[str | None]:
    """Of each row of the sweep's comparison; none if it cannot be made, which the sweep's end reports."""
    from vbench.analysis import compare_sweep

    try:
        comparison = compare_sweep(folder)
    except Exception:  # noqa: BLE001 - the sweep's own comparison, which follows, reports it
        return []
    tables = () if comparison is None else comparison.tables
    return [row.verdict for table in tables for row in table.rows]
