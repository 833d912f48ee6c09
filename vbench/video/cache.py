"""Files in a cache, each with a digest beside it: one that was replaced is noticed and made again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vbench.video.digest import file_digest

Say = Callable[[str], None]
"""Is given a sentence about a file that cannot be used."""


def digest_path(path: Path) -> Path:
    """Where the digest of a cached file lies: beside it."""
    return path.with_name(f"{path.name}.digest")


def keep(made: Path, path: Path, made_from: Any) -> None:
    """Move a finished file to its place in the cache, on the same disk, with its digest beside it.

    ``made_from``: what the file was made from, as JSON: its settings, or the digest of another file. The
    digest is written first, so that a kill leaves a file that is made again.
    """
    sealed = digest_path(path)
    half = sealed.with_name(f".{sealed.name}.{os.getpid()}")
    try:
        half.write_text(json.dumps({"made_from": made_from, "xxh3_128": file_digest(made)}, sort_keys=True))
        half.replace(sealed)
    finally:
        half.unlink(missing_ok=True)
    made.replace(path)


def is_kept(path: Path, made_from: Any, say: Say | None = None) -> bool:
    """Whether a cached file is there with the bytes that ``keep`` put there, made from the same.

    ``say`` is told of a file that is there and does not fit: the caller makes it again.
    """
    if not path.exists():
        return False
    fault = _fault(path, made_from)
    if fault and say:
        say(f"{path} {fault}: it is made again.")
    return fault is None


def _fault(path: Path, made_from: Any) -> str | None:
    try:
        facts = json.loads(digest_path(path).read_text())
        wanted, source = facts["xxh3_128"], facts["made_from"]
    except FileNotFoundError:
        return "has no digest beside it"
    except (OSError, ValueError, KeyError, TypeError):
        return "has a damaged digest beside it"
    if source != json.loads(json.dumps(made_from)):
        return "was made from something else"
    if file_digest(path) != wanted:
        return "has other bytes than were written to the cache"
    return None
