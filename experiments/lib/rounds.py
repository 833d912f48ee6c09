"""The order of a study that compares several ways of doing the same work."""

import random
from collections.abc import Iterable, Iterator


def in_rounds(names: Iterable[str], rounds: int, draw: random.Random) -> Iterator[tuple[int, str]]:
    """Each name once per round, in an order drawn for that round; with the number of the round, from 1."""
    names = list(names)
    for number in range(1, rounds + 1):
        for name in draw.sample(names, len(names)):
            yield number, name
