"""Runs a call that cannot be interrupted, and abandons it when the deadline passes."""

import threading
from collections.abc import Callable
from typing import TypeVar

from vbench.video.fetch.deadline import Deadline

T = TypeVar("T")


def call(work: Callable[[], T], deadline: Deadline, name: str) -> T:
    """Run ``work`` on a thread named ``name``; returns or raises what it does.

    Raises:
        DeadlineExceededError: the deadline passed. The thread runs on until ``work`` returns, and its result
            is discarded.
    """
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(deadline.slice_s())
    if errors:
        raise errors.pop()
    return result.pop()
