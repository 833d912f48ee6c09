"""Reads paths from command lines: expands ``~``, and refuses what leads nowhere."""

import argparse
import re
from pathlib import Path

from vbench.config.quoting import example_folder

IN_A_URL = re.compile("[?#%]")
"""Characters that MLflow and SQLAlchemy read in the URL of a database, each in its own way."""


LOOP = "its symbolic links form a loop: give another path"


def usable_outputs() -> str:
    """An outputs folder to give instead of one that has such a character in its path."""
    return example_folder("vbench", IN_A_URL)


def home_path(text: str) -> Path:
    """A path with its ``~`` or ``~user`` replaced by that home folder; RuntimeError if there is none."""
    path = Path(text)
    # ``Path`` makes ``~`` of ``./~``, which is another folder.
    return path.expanduser() if text.startswith("~") else path


def leads_to_itself(path: str | Path) -> bool:
    """Whether symbolic links on the way form a loop, at which ``Path.resolve`` raises RuntimeError."""
    try:
        Path(path).resolve()
    except RuntimeError:
        return True
    return False


def path_option(text: str) -> Path:
    """As ``home_path``, as a type for ``argparse``: a shell leaves ``~`` as it is in ``--out=~/x`` and in
    quotes."""
    try:
        path = home_path(text)
        if leads_to_itself(path):
            raise argparse.ArgumentTypeError(f"{text}: {LOOP}")
        return path
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: there is no such user; for a folder of that name give ./{text}"
        ) from error
