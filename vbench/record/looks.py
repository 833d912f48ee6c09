"""Looks of a sweep at its own results: after how many blocks, and how much of the error each may spend.

With a fixed number of blocks there is one look, at the end. With ``blocks=auto`` there are several, and the
sweep stops at the first one that decides every row: a group sequential design. The 5% that may go wrong are
divided among the looks beforehand (alpha spending), in proportion to the squares of their blocks, so that the
last look keeps most of it. The shares add up to 1. So by the union bound all looks together go wrong in at
most 5% of sweeps, whatever the noise does from one look to the next, and the interval of whichever look is
the last covers the true value in at least 95%.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

AUTO = "auto"
"""Value of ``blocks``: as many as it takes, up to ``analysis.max_blocks``."""

FIRST = 3
"""Blocks before the first look: fewer hardly ever decide anything."""

MOST_BLOCKS = 1000
"""Of any sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """All looks of a sweep, each by the number of blocks that the sweep has then."""

    planned: Sequence[int] = ()
    """Those planned before the first trial. None in older versions, which had one, at the end."""
    added: Sequence[int] = ()
    """Those for which blocks were added to the finished sweep."""
    ended: int = 0
    """Blocks with which the sweep had finished before any were added; 0 if none were."""

    def following(self, blocks: int) -> int | None:
        """Blocks of the next planned look; None if there is none, or blocks have been added."""
        return None if self.added else next((look for look in self.planned if look > blocks), None)

    def look(self, blocks: int) -> "Look":
        """The look of a sweep that has so many blocks; ValueError if there is none."""
        if blocks in self.added:
            place = self.added.index(blocks)
            earlier = sum(look <= self.ended for look in self.planned)
            return Look(number=earlier + place + 1, blocks=blocks, looks=self, share=0.5 ** (place + 1))
        planned = self.planned or (blocks,)
        share = blocks**2 / sum(look**2 for look in planned)
        return Look(number=planned.index(blocks) + 1, blocks=blocks, looks=self, share=share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look."""

    number: int
    """Counted from 1."""
    blocks: int
    """Blocks that the sweep has then."""
    looks: Looks = field(default_factory=Looks)
    """All of them."""
    share: float = 1.0
    """What it may spend of the error of 5%.

    An added look may spend a half of 5%, the next one a quarter, and so on: another 5% for all of them,
    however many follow.
    """


def planned_looks(max_blocks: int) -> list[int]:
    """Numbers of blocks after which ``blocks=auto`` looks: 3, 5, 8, 12, 18 ... (each half as many again), and
    the bound."""
    looks = [FIRST]
    while looks[-1] < max_blocks:
        looks.append(min(-(-3 * looks[-1] // 2), max_blocks))
    return looks
