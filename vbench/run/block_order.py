"""The order of the arms in each block: random, and balanced over the blocks."""

import random
from collections.abc import Iterator


def order(arms: int, blocks: int, seed: int | str) -> list[list[int]]:
    """For each block the indices of all arms: random, and balanced over the blocks.

    Every second block is the one before it backwards, so of each two arms either comes first equally often,
    and what drifts evenly over two blocks drops out. As many blocks as there are arms (twice as many for an
    odd number) make a Williams square (1949): every arm is at every place once (twice). Arms are dealt to
    each square at random, its pairs of blocks shuffled. Equal for equal seeds, however many blocks follow.
    """
    draw = random.Random(seed)
    orders: list[list[int]] = []
    while len(orders) < blocks:
        dealt = draw.sample(range(arms), arms)
        pairs = list(_williams(arms))
        draw.shuffle(pairs)
        for pair in pairs:
            orders += [[dealt[arm] for arm in row] for row in draw.sample(pair, len(pair))]
    return orders[:blocks]


def _williams(arms: int) -> Iterator[list[list[int]]]:
    """The rows of a Williams square, each with itself backwards: 0, 1, n - 1, 2, n - 2 ... and that plus 1 to
    n - 1, modulo n. Of an even n the second half of the rows are the first half backwards."""
    if arms == 1:
        yield [[0], [0]]
        return
    first = [0]
    for step in range(1, arms):
        first.append((step + 1) // 2 if step % 2 else arms - step // 2)
    for shift in range(arms // 2 if arms % 2 == 0 else arms):
        row = [(arm + shift) % arms for arm in first]
        yield [row, row[::-1]]
