"""The files of the user's application: those below ``app.working_dir``, without what is no part of it."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

CACHE = "__pycache__"


def app_files(folder: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """Every file below a folder, in order; links are followed.

    Hidden folders, virtual environments, caches of Python and the folders ``without`` (resolved) are left
    out.
    """
    yield from _below(folder, frozenset(without), (folder.resolve(),))


def _below(folder: Path, without: frozenset[Path], above: tuple[Path, ...]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = folder / name
        if not path.is_dir():
            if path.is_file():
                yield path
            continue
        actual = path.resolve()
        is_environment = (path / "pyvenv.cfg").exists()
        # A link to a folder above would never end.
        if not (name.startswith(".") or name == CACHE or is_environment or actual in (*without, *above)):
            yield from _below(path, without, (*above, actual))
