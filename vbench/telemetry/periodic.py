"""A thread that takes a sample now and then while a block runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(sample: Callable[[], object], period_s: float) -> Iterator[None]:
    """Call ``sample`` as the block begins, every ``period_s`` while it runs, and as it ends.

    The first and the last call are made by the caller's thread. What a call raises ends the sampling and is
    raised as the block ends.
    """
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            due = time.monotonic()
            while True:
                # What a stall has made us miss is not caught up with: each sample stands for its own time.
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
