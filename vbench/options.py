"""Types of command-line options, for ``argparse``."""

import argparse
from pathlib import Path


def path_option(text: str) -> Path:
    """A file or folder, whose ``~`` is a home folder: a shell leaves it as it is in ``--out=~/x`` and in
    quotes."""
    if not text.startswith("~"):  # ``Path`` makes ``~`` of ``./~``, which is another folder
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: there is no user of this name; for a folder called so give ./{text}"
        ) from error
