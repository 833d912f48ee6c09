"""Seconds that the phases of a trial take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(phases_s: dict[str, float], name: str) -> Iterator[None]:
    """Put the seconds that the block takes into ``phases_s``; a block that fails is not a phase."""
    started = time.monotonic()
    yield
    phases_s[name] = time.monotonic() - started
