"""A block whose trials did not run side by side in time is named."""

from datetime import UTC, datetime, timedelta

from tests.support import records
from vbench.analysis.interleaving import notes
from vbench.record.trial import Trial

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes: float, block: int, name: str, took_s: float = 300.0) -> Trial:
    started = (BEGIN + timedelta(minutes=minutes)).isoformat(timespec="seconds")
    return records.trial(started=started, block=block, phases_s={"measure": took_s}, folder=f"sweep/{name}")


def test_blocks_that_ran_one_after_the_other_are_fine() -> None:
    assert notes([]) == []
    assert notes([at(10 * number, number // 3, str(number)) for number in range(9)]) == []
    assert notes([at(0, 0, "0"), at(400, 1, "1")]) == [], "a rest between two blocks parts no block"


def test_a_block_that_was_run_after_a_later_one_as_a_whole_is_fine() -> None:
    assert notes([at(50, 0, "0"), at(60, 0, "1"), at(10, 1, "2"), at(20, 1, "3")]) == []


def test_a_trial_that_was_run_again_later_breaks_its_block_up() -> None:
    (note,) = notes([at(0, 0, "0"), at(40, 0, "1"), at(20, 1, "2"), at(30, 1, "3")])
    assert note.startswith("Block 1 was interrupted: its trial 1 ran after block 2 had started")


def test_a_long_rest_within_a_block_is_named() -> None:
    (note,) = notes([at(0, 0, "0"), at(10, 1, "1"), at(10 + 5 + 4.5 * 60, 1, "2")])
    assert note.startswith("Block 2 has a gap: 4.5 hours passed between its trial 1 and trial 2")


def test_a_long_trial_is_no_rest() -> None:
    assert notes([at(0, 0, "0", took_s=5 * 3600), at(5 * 60 + 1, 0, "1")]) == []
