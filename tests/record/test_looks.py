"""Looks of a sweep: after how many blocks, and what each may spend of the error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.record.looks import FIRST, Looks, planned_looks


@pytest.mark.parametrize(
    ("most", "looks"),
    [(3, [3]), (4, [3, 4]), (5, [3, 5]), (12, [3, 5, 8, 12]), (15, [3, 5, 8, 12, 15])],
)
def test_looks_are_each_half_as_many_blocks_again_up_to_the_bound(most: int, looks: list[int]) -> None:
    assert planned_looks(most) == looks


@given(most=st.integers(FIRST, 1000))
def test_planned_looks_spend_the_error_once_and_the_last_one_most(most: int) -> None:
    looks = Looks(planned=planned_looks(most))
    shares = [looks.look(blocks).share for blocks in looks.planned]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares)
    assert [looks.look(blocks).number for blocks in looks.planned] == list(range(1, len(shares) + 1))
    assert [looks.following(blocks) for blocks in looks.planned] == [*looks.planned[1:], None]


def test_a_fixed_number_of_blocks_is_one_look_that_may_spend_all() -> None:
    for looks in (Looks(), Looks(planned=[5])):
        look = looks.look(5)
        assert (look.number, look.share, looks.following(5)) == (1, 1.0, None)


@given(added=st.lists(st.integers(6, 1000), min_size=1, max_size=8, unique=True).map(sorted))
def test_added_looks_together_spend_the_error_once_more_at_most(added: list[int]) -> None:
    looks = Looks(planned=[5], added=added, ended=5)
    shares = [looks.look(blocks).share for blocks in added]
    assert shares == [0.5**place for place in range(1, len(added) + 1)]
    assert [looks.look(blocks).number for blocks in added] == list(range(2, len(added) + 2))
    assert looks.following(5) is None


def test_an_added_look_counts_the_planned_ones_that_took_place() -> None:
    looks = Looks(planned=[3, 5, 8, 12], added=[9], ended=5)
    assert looks.look(9).number == 3
    assert looks.look(5).number == 2


def test_blocks_without_a_look_are_no_look() -> None:
    with pytest.raises(ValueError, match="4"):
        Looks(planned=[3, 5]).look(4)
