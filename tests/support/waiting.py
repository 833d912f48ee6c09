"""Waiting, up to a deadline, for what a test expects."""

import select
import time
from collections.abc import Callable

POLL_S = 0.02


def came_true(condition: Callable[[], object], within_s: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], POLL_S)
    return True


def until(condition: Callable[[], object], what: str, within_s: float = 60) -> None:
    """Assert that it comes true; ``what`` it is, as a sentence without its end."""
    assert came_true(condition, within_s), f"{what}: not within {within_s:g} s"
