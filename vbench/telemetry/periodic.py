"""A thread that takes periodic samples while a block runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(sample: Callable[[], object], period_s: float) -> Iterator[None]:
    """Call ``sample`` when the block begins, every ``period_s`` while it runs, and when it ends.

    The first and the last call are made by the caller's thread. An error of a call ends the sampling and is
    raised when the block ends.
    """
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            due = time.monotonic()
            while True:
                # Samples missed in a stall are not taken later: each stands for its own time.
                due = max(due + period_s, time.monotonic())
                if stop.wait(max(0.0, due - time.monotonic())):
                    return
                sample()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for us
            errors.append(error)

    sample()
    thread = threading.Thread(target=run, name="sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
    sample()
