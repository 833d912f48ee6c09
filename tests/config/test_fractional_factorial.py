"""Two-level designs: what is balanced, what is aliased, and that no smaller choice aliases less."""

import itertools
import re

import numpy as np
import pytest

from vbench.config.fractional_factorial import (
    LETTERS,
    MOST_FACTORS,
    base_factors,
    defining_relation,
    generators,
    interactions,
    pair_name,
    resolution,
    runs,
)

FACTORS = range(1, MOST_FACTORS + 1)

WORDS_OF_FOUR = {
    4: 1,
    5: 0,
    6: 3,
    7: 7,
    8: 14,
    9: 6,
    10: 10,
    11: 25,
    12: 38,
    13: 55,
    14: 77,
    15: 105,
    16: 140,
}
"""Of minimum aberration designs of 8, 16 and 32 runs (Chen, Sun and Wu, 1993)."""


def signs(factors: int) -> np.ndarray:
    """(runs, factors) levels as -1 and +1."""
    return 2 * np.array(runs(factors)) - 1


@pytest.mark.parametrize(
    ("factors", "count"), [(1, 2), (2, 4), (3, 8), (4, 8), (5, 16), (8, 16), (9, 32), (11, 32), (16, 32)]
)
def test_a_design_has_the_fewest_runs_of_resolution_iv(factors: int, count: int) -> None:
    assert len(runs(factors)) == len(set(runs(factors))) == count == 2 ** base_factors(factors)
    assert runs(factors)[0] == (0,) * factors


@pytest.mark.parametrize("factors", FACTORS)
def test_main_effects_are_apart_from_each_other_and_from_all_interactions_of_two(factors: int) -> None:
    """Resolution IV, by the products of the columns themselves."""
    levels = signs(factors)
    assert (levels.sum(axis=0) == 0).all()
    pairs = [levels[:, i] * levels[:, j] for i, j in itertools.combinations(range(factors), 2)]
    assert (levels.T @ levels == len(levels) * np.eye(factors)).all()
    for pair in pairs:
        assert not (levels.T @ pair).any()
        assert pair.sum() == 0


@pytest.mark.parametrize("factors", FACTORS)
def test_aliased_interactions_have_one_column_and_others_are_apart(factors: int) -> None:
    levels = signs(factors)
    strings = interactions(factors)
    assert sorted(pair for string in strings for pair in string) == list(
        itertools.combinations(range(factors), 2)
    )
    columns = []
    for string in strings:
        products = [levels[:, i] * levels[:, j] for i, j in string]
        assert all((product == products[0]).all() for product in products)
        columns.append(products[0])
    if columns:
        together = np.array(columns)
        assert (together @ together.T == len(levels) * np.eye(len(columns))).all()


@pytest.mark.parametrize("factors", FACTORS)
def test_every_defining_word_is_the_same_in_every_run_and_there_is_no_other(factors: int) -> None:
    levels = signs(factors)
    words = defining_relation(factors)
    assert len(words) == len(set(words)) == 2 ** (factors - base_factors(factors)) - 1
    for word in words[:200]:
        product = np.prod([levels[:, LETTERS.index(letter)] for letter in word.lstrip("-")], axis=0)
        assert (product == (-1 if word.startswith("-") else 1)).all()
    assert resolution(factors) == (min(len(word.lstrip("-")) for word in words) if words else None)
    assert resolution(factors) in (None, 4, 5)


@pytest.mark.parametrize("factors", WORDS_OF_FOUR)
def test_as_few_interactions_are_aliased_as_can_be(factors: int) -> None:
    words = [word for word in defining_relation(factors) if len(word.lstrip("-")) == 4]
    assert len(words) == WORDS_OF_FOUR[factors]
    assert not any(word.startswith("-") for word in words)


@pytest.mark.parametrize("factors", FACTORS)
def test_generators_hold_in_every_run(factors: int) -> None:
    levels = signs(factors)
    found = generators(factors)
    assert len(found) == factors - base_factors(factors)
    for text in found:
        match = re.fullmatch(r"(\w) = (-?)(\w+)", text)
        assert match is not None
        product = np.prod([levels[:, LETTERS.index(letter)] for letter in match[3]], axis=0)
        assert (levels[:, LETTERS.index(match[1])] == (-product if match[2] else product)).all()


def test_eight_factors_are_the_textbooks_design() -> None:
    assert generators(8) == ["E = ABC", "F = ABD", "G = ACD", "H = BCD"]
    assert [len(string) for string in interactions(8)] == [4] * 7
    assert [pair_name(pair) for pair in interactions(8)[0]] == ["AB", "CE", "DF", "GH"]
    assert resolution(5) == 5
    assert generators(5) == ["E = -ABCD"]


@pytest.mark.parametrize("factors", [0, 17])
def test_a_number_of_factors_without_a_design_is_refused(factors: int) -> None:
    with pytest.raises(ValueError, match="there must be 1 to 16"):
        base_factors(factors)
