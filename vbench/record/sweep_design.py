"""The design of a sweep as ``sweep.json`` keeps it: its factors, and what is aliased in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.config import fractional_factorial
from vbench.config.designs import FRACTIONAL, FULL, ONEWAY, SCREENING

ROMAN = {4: "IV", 5: "V"}
"""Resolutions of the designs that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A swept key."""

    key: str
    values: Sequence[str]
    """As its trials record them. The first is the baseline's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDesign:
    """Which combinations of values are the arms of a sweep."""

    name: str = FULL
    """As vbench.config.designs has them."""
    factors: Sequence[Factor] = ()
    """Swept keys, in the order given. With design=fractional they are called A, B, C ... (without I)."""
    generators: Sequence[str] = ()
    """With design=fractional: factors that are products of others, with levels -1 and +1."""
    defining_relation: Sequence[str] = ()
    """With design=fractional: products of factors that are the same in every run, the shortest first."""
    resolution: int | None = None
    """Length of the shortest of them; None if every combination is run."""
    aliases: Sequence[Sequence[str]] = ()
    """With design=fractional: interactions of two factors, grouped into those that cannot be separated."""

    @property
    def screens(self) -> bool:
        """Whether it asks which of several settings matter."""
        return self.name in SCREENING

    @property
    def summary(self) -> str:
        """What a screening design runs, in one line."""
        count = len(self.factors)
        keys = f"design={self.name}: {count} setting{'' if count == 1 else 's'}"
        if self.name == ONEWAY:
            return f"{keys}, one changed at a time from the first value of each"
        every = math.prod(len(factor.values) for factor in self.factors)
        if self.resolution is None:
            return f"{keys}, all {every} combinations"
        runs = len(fractional_factorial.runs(count))
        return f"{keys} in {runs} of {every:,} combinations, resolution {ROMAN[self.resolution]}"


def sweep_design(name: str, values: Mapping[str, Sequence[str]]) -> SweepDesign:
    """The design of this name for swept keys with these values."""
    factors = tuple(Factor(key=key, values=tuple(levels)) for key, levels in values.items())
    if name != FRACTIONAL:
        return SweepDesign(name=name, factors=factors)
    count = len(factors)
    return SweepDesign(
        name=name,
        factors=factors,
        generators=tuple(fractional_factorial.generators(count)),
        defining_relation=tuple(fractional_factorial.defining_relation(count)),
        resolution=fractional_factorial.resolution(count),
        aliases=tuple(
            tuple(map(fractional_factorial.pair_name, pairs))
            for pairs in fractional_factorial.interactions(count)
        ),
    )
