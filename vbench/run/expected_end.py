"""What is said before a study starts: when it will end, and what its number of blocks can decide, by trials
that measured the same before."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from vbench.config.schema import Config
from vbench.errors import VbenchError
from vbench.record import ledger
from vbench.record.files import RecordError
from vbench.record.ledger import Begun, Ledger
from vbench.record.question import question


def lines(folder: Path, todo: Sequence[Config], blocks: int, now: datetime, further: int = 0) -> list[str]:
    """Sentences on a sweep in ``folder`` that has these trials to run, and so many blocks in all.

    ``further``: with blocks=auto, trials that may follow the next look; ``blocks`` are then the most.

    None about what is unknown: there is no ledger, or no earlier trial measured the same.
    """
    if not todo:
        return []
    book = ledger.find(folder, Path(todo[0].outputs))
    if book is None:
        return []
    questions = {id(config): question(asdict(config)) for config in {id(one): one for one in todo}.values()}
    of_todo = [questions[id(config)] for config in todo]
    earlier = {
        trial_id: begun
        for trial_id, begun in book.begun.items()
        if begun.question in set(of_todo) and Path(begun.folder).parent != folder.resolve()
    }
    first = todo[0].analysis.equivalence_percent
    has = f"at most {blocks}" if further else str(blocks)
    return [*_end(book, earlier, of_todo, further, now), *_power(earlier, set(of_todo), has, first)]


def _end(
    book: Ledger, earlier: dict[str, Begun], todo: Sequence[str], further: int, now: datetime
) -> Iterator[str]:
    """When the trials will have run; ``further``: those that may follow after a look."""
    took_s: dict[str, list[float]] = {}
    for trial_id, begun in earlier.items():
        ended = book.ended.get(trial_id)
        if ended is not None and ended.status == "finished":
            seconds = (datetime.fromisoformat(ended.at) - datetime.fromisoformat(begun.at)).total_seconds()
            took_s.setdefault(begun.question, []).append(seconds)
    if not took_s:
        return
    from vbench.analysis.report.decision_text import hours

    means = {of: statistics.fmean(values) for of, values in took_s.items()}
    other = statistics.fmean(means.values())
    left_s = sum(means.get(of, other) for of in todo)
    end = now + timedelta(seconds=left_s)
    when = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"
    count = sum(map(len, took_s.values()))
    trials = f"{count} earlier trial{'s' if count > 1 else ''}"
    all_known = len(means) == len(set(todo))
    of = "these configurations" if all_known else f"{len(means)} of its {len(set(todo))} configurations"
    to_look = ""
    if further:
        most_s = left_s * (len(todo) + further) / len(todo)
        to_look = f" to the next look, and about {hours(most_s / 3600)} if no look decides"
    yield f"Expected to take about {hours(left_s / 3600)}, until {when}{to_look}: from {trials} of {of}"


def _power(earlier: dict[str, Begun], todo: set[str], has: str, percent: float) -> Iterator[str]:
    """What an earlier sweep of the same configurations says about the number of blocks: of the latest.

    ``has``: the blocks of this one.
    """
    sweeps: dict[Path, set[str]] = {}
    for begun in earlier.values():
        if begun.sweep_id:
            sweeps.setdefault(Path(begun.folder).parent, set()).add(begun.question)
    same = [folder for folder, known in sweeps.items() if known >= todo and folder.is_dir()]
    if not same:
        return
    from vbench.analysis import compare_sweep
    from vbench.analysis.study_plan import plan

    try:
        comparison = compare_sweep(same[-1])
    except (VbenchError, RecordError, OSError):
        return  # what is wrong with an old sweep is no reason not to start a new one
    made = None if comparison is None else plan(comparison, percent, percent)
    if made is None or not made.rows:
        return
    wanted = made.all_rows.by_spread
    enough = "more than 1000" if wanted is None else str(wanted)
    yield (
        f"By the spread of {made.name}, blocks={enough} would find a difference of {percent:g}% and show"
        f" equivalence within ±{percent:g}%, each with 80% power; this sweep has {has}"
    )
