"""Two-level fractional factorial designs of resolution IV: which runs they have, and what is aliased in them.

Theory: Box, Hunter and Hunter, Statistics for Experimenters, chapters 5 and 6; Fries and Hunter, Minimum
aberration 2^(k-p) designs, Technometrics 22 (1980).

A factor is a set of base factors, written as a bit mask. Its level in a run (0: first value, 1: second) is
the parity of the base factors in it that are at their second value. So the run with all first values is in
every design. With levels written as -1 and +1, a product of an even number of base factors has a minus, and
so has a word of odd length; words of four have none, so aliased interactions add up.
"""

import functools
import itertools
from collections.abc import Sequence

LETTERS = "ABCDEFGHJKLMNOPQ"
"""Names of the factors, in order; I is the identity."""

MOST_FACTORS = len(LETTERS)
"""As many as 32 runs can hold at resolution IV."""

SHORTEST_WORD = 4
"""Resolution IV: main effects are aliased with interactions of three factors, but not of two."""


def base_factors(factors: int) -> int:
    """How many factors are varied in all combinations: 2 to this power runs hold ``factors`` at resolution
    IV, which are at most half as many as the runs; ValueError if there are none or too many."""
    if not 1 <= factors <= MOST_FACTORS:
        raise ValueError(f"{factors} factors: there must be 1 to {MOST_FACTORS}")
    return min(factors, 1 + (factors - 1).bit_length())


@functools.cache
def columns(factors: int) -> tuple[int, ...]:
    """The base factors that make up each factor. Of all choices without a defining word shorter than four,
    the first with the fewest of length four, so that the fewest two-factor interactions are aliased."""
    base = base_factors(factors)
    basic = tuple(1 << factor for factor in range(base))
    products = [mask for mask in range(1 << base) if mask.bit_count() >= SHORTEST_WORD - 1]
    choices = (basic + added for added in itertools.combinations(products, factors - base))
    allowed = [choice for choice in choices if not _has_word_of_three(choice)]
    return min(allowed, key=_words_of_four)


def _has_word_of_three(masks: Sequence[int]) -> bool:
    known = set(masks)
    return any(one ^ other in known for one, other in itertools.combinations(masks, 2))


def _words_of_four(masks: Sequence[int]) -> int:
    """Each word of four makes three pairs of pairs with the same product."""
    products = [one ^ other for one, other in itertools.combinations(masks, 2)]
    counts = [products.count(product) for product in set(products)]
    return sum(count * (count - 1) // 2 for count in counts) // 3


def runs(factors: int) -> list[tuple[int, ...]]:
    """The level of each factor in each run, 0 or 1; the first run has all first values."""
    masks = columns(factors)
    return [
        tuple((run & mask).bit_count() % 2 for mask in masks) for run in range(1 << base_factors(factors))
    ]


def generators(factors: int) -> list[str]:
    """Such as ``E = ABC`` or ``E = -ABCD``: the factors that are products of base factors, for levels -1 and
    +1; none for a full factorial."""
    base = base_factors(factors)
    return [
        f"{LETTERS[factor]} = {'' if mask.bit_count() % 2 else '-'}{_letters(mask)}"
        for factor, mask in enumerate(columns(factors))
        if factor >= base
    ]


def defining_relation(factors: int) -> list[str]:
    """All words that equal the identity, such as ``ABCE`` or ``-ABCDE``, for levels -1 and +1, the shortest
    first; none for a full factorial."""
    base = base_factors(factors)
    words = [mask | 1 << factor for factor, mask in enumerate(columns(factors)) if factor >= base]
    products = {0}
    for word in words:
        products |= {product ^ word for product in products}
    ordered = sorted(products - {0}, key=lambda product: (product.bit_count(), _letters(product)))
    return [f"{'-' if product.bit_count() % 2 else ''}{_letters(product)}" for product in ordered]


def resolution(factors: int) -> int | None:
    """Length of the shortest defining word; None for a full factorial, in which nothing is aliased."""
    return min((len(word.lstrip("-")) for word in defining_relation(factors)), default=None)


def interactions(factors: int) -> list[list[tuple[int, int]]]:
    """Pairs of factors by the string of aliases that they are in: their interactions' effects add up, and
    only the sum can be estimated. One pair per string if nothing is aliased."""
    masks = columns(factors)
    strings: dict[int, list[tuple[int, int]]] = {}
    for one, other in itertools.combinations(range(factors), 2):
        strings.setdefault(masks[one] ^ masks[other], []).append((one, other))
    return list(strings.values())


def pair_name(pair: tuple[int, int]) -> str:
    """``AB``."""
    return "".join(LETTERS[factor] for factor in pair)


def _letters(mask: int) -> str:
    return "".join(letter for number, letter in enumerate(LETTERS) if mask >> number & 1)
