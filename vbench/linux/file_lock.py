"""One process at a time: a lock file that goes with its process, waited for with a deadline."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.05


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock file ``path``, made if it is not there, for the block.

    The kernel releases it when the process ends, however that happens. TimeoutError if another process holds
    it for ``timeout_s``; OSError if the file cannot be opened.
    """
    deadline = time.monotonic() + timeout_s
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has held {path} for {timeout_s:g} s") from error
                time.sleep(POLL_S)
        yield
