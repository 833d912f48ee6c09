"""How a rule names what it found: the first problem, and how many more there are."""

from collections.abc import Sequence


def first_problem(problems: Sequence[str]) -> str:
    """The first of at least one, and how many others there are; the same sentence twice is one problem."""
    more = len(set(problems)) - 1
    return problems[0] + (f" (and {more} more)" if more else "")
