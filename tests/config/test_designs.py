"""Which combinations of values each design runs, and which keys it refuses."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.config.designs import arms
from vbench.errors import ConfigError

COUNTS = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def keys(counts: list[int]) -> dict[str, list[str]]:
    return {f"k{place}": [str(value) for value in range(count)] for place, count in enumerate(counts)}


@given(counts=COUNTS)
def test_full_is_every_combination_in_hydras_order(counts: list[int]) -> None:
    assert arms("full", keys(counts)) == list(itertools.product(*map(range, counts)))


@given(counts=COUNTS.filter(lambda counts: max(counts) > 1))
def test_oneway_changes_one_key_of_the_baseline_at_a_time(counts: list[int]) -> None:
    baseline, *others = arms("oneway", keys(counts))
    assert set(baseline) == {0}
    changed = [[(place, level) for place, level in enumerate(arm) if level] for arm in others]
    assert [change for (change,) in changed] == [
        (place, level) for place, count in enumerate(counts) for level in range(1, count)
    ]


def test_fractional_takes_two_values_of_each_key() -> None:
    assert len(arms("fractional", keys([2] * 8))) == 16
    assert arms("fractional", keys([2, 2])) == [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("design", "counts", "says"),
    [
        ("onway", [2], r"design=onway does not exist: did you mean 'oneway'\? \(there are: fractional, full"),
        ("oneway", [], "design=oneway is for keys with several values, and there are none: add some"),
        ("fractional", [1], "design=fractional is for keys with several values"),
        (
            "fractional",
            [2, 3],
            r"k1=0,1,2 has 3 values, and design=fractional takes two of each key: give two, such as k1=0,2,"
            r" or use design=oneway",
        ),
        ("fractional", [2, 1], "k1=0 has one value"),
        ("fractional", [2] * 17, "at most 16 keys, and 17 have several values"),
        ("full", [4] * 5, "make 1,024 arms, and a sweep can have at most 1,000"),
        ("oneway", [900, 900], "make 1,799 arms"),
    ],
)
def test_keys_that_do_not_fit_a_design_are_refused(design: str, counts: list[int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        arms(design, keys(counts))


@pytest.mark.parametrize("design", ["full", "oneway", "fractional"])
def test_a_key_without_a_value_makes_no_arm(design: str) -> None:
    assert arms(design, {"a": [], "b": ["1", "2"]}) == []
