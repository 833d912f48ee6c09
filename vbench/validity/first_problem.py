"""How a rule reports problems: the first one, and how many more there are."""

from collections.abc import Sequence


def first_problem(problems: Sequence[str]) -> str:
    """The first of at least one problem, and the number of others; equal sentences are one problem."""
    more = len(set(problems)) - 1
    return problems[0] + (f" (and {more} more)" if more else "")
