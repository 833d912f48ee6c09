"""Designs of a sweep: which combinations of the swept keys' values are its arms."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from vbench.config import fractional_factorial
from vbench.errors import ConfigError, nearest

Design = Literal["full", "oneway", "fractional"]

FULL: Design = "full"
ONEWAY: Design = "oneway"
FRACTIONAL: Design = "fractional"

DESIGNS: tuple[str, ...] = get_args(Design)

SCREENING = (ONEWAY, FRACTIONAL)
"""Designs that ask which of many settings matter."""

MOST_ARMS = 1000
"""More than anyone can run; a range may have a billion values."""

Levels = tuple[int, ...]
"""For each swept key the place of its value among its values, from 0."""


def arms(design: str, values: Mapping[str, Sequence[str]]) -> list[Levels]:
    """The arms of a sweep, the one with all first values first.

    Args:
        design: ``full``: every combination; ``oneway``: all first values, and one arm for each other value of
            each key; ``fractional``: a two-level design of resolution IV.
        values: swept key -> its values.

    Raises:
        ConfigError: there is no such design, it does not fit these keys, or it has too many arms. No arms,
            and no error, if a key has no value.
    """
    if design not in DESIGNS:
        raise ConfigError(f"design={design} does not exist: {nearest(design, DESIGNS)}.")
    if design == FULL:
        _check_number(math.prod(map(len, values.values())), values)
        return list(itertools.product(*(range(len(levels)) for levels in values.values())))
    if not all(values.values()):
        return []
    if not any(len(levels) > 1 for levels in values.values()):
        raise ConfigError(
            f"design={design} is for keys with several values, and there are none: add some, such as"
            f" pipeline.window=2,4, or leave it out."
        )
    if design == FRACTIONAL:
        _check_two_levels(values)
        return fractional_factorial.runs(len(values))
    _check_number(1 + sum(len(levels) - 1 for levels in values.values()), values)
    first = (0,) * len(values)
    return [first] + [
        (*first[:position], level, *first[position + 1 :])
        for position, levels in enumerate(values.values())
        for level in range(1, len(levels))
    ]


def _check_number(arms: int, values: Mapping[str, Sequence[str]]) -> None:
    if arms > MOST_ARMS:
        raise ConfigError(
            f"{', '.join(values)} make {arms:,} arms, and a sweep can have at most {MOST_ARMS:,}: give fewer"
            f" values."
        )


def _check_two_levels(values: Mapping[str, Sequence[str]]) -> None:
    for key, levels in values.items():
        if len(levels) != 2:
            given = f"{len(levels)} values" if len(levels) > 1 else "one value"
            pair = f"{key}={levels[0]},{levels[-1] if len(levels) > 1 else 'OTHER'}"
            raise ConfigError(
                f"{key}={','.join(levels)} has {given}, and design=fractional takes two of each key: give"
                f" two, such as {pair}, or use design=oneway."
            )
    if len(values) > fractional_factorial.MOST_FACTORS:
        raise ConfigError(
            f"design=fractional takes at most {fractional_factorial.MOST_FACTORS} keys, and {len(values)}"
            f" have several values: give fewer, or use design=oneway."
        )
