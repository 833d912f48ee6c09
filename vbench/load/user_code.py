"""Runs code of the user: says which line of it raised, and lets it start no cluster while it is imported."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from vbench.errors import InputError, first_line


def raised(error: BaseException, folder: Path) -> str:
    """``KeyError: 'size' (main.py, line 12)``: the error, and the innermost line below ``folder`` that is in
    its traceback."""
    text = type(error).__name__
    if str(error).strip():
        text += f": {first_line(error)}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(folder) and "site-packages" not in path.parts:
            return f"{text} ({path.relative_to(folder)}, line {frame.lineno})"
    return text


@contextmanager
def without_cluster(key: str) -> Iterator[None]:
    """InputError that begins with ``key`` if the block starts Ray, as serve.run does."""

    def refuse(*_: Any, **__: Any) -> None:
        raise InputError(
            f"{key}: the module starts Ray itself (ray.init or serve.run) while it is imported: move that"
            f' below if __name__ == "__main__":, and name what .bind() returns.'
        )

    start, ray.init = ray.init, refuse
    try:
        yield
    finally:
        ray.init = start
