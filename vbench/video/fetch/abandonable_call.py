"""Runs a call that cannot be interrupted, and leaves it to itself when the time is up."""

import threading
from collections.abc import Callable
from typing import TypeVar

from vbench.video.fetch.deadline import Deadline

T = TypeVar("T")


def call(work: Callable[[], T], deadline: Deadline, name: str) -> T:
    """What ``work`` returns or raises; it runs on a thread called ``name``.

    Raises:
        TimeIsUpError: the deadline passed. The thread goes on until ``work`` returns, and nobody learns what.
    """
    result: list[T] = []
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            trouble.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(deadline.slice_s())
    if trouble:
        raise trouble.pop()
    return result.pop()
