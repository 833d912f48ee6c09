"""Files in a cache, each with a digest next to it: a replaced file is noticed and made again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vbench.video.digest import file_digest

Warn = Callable[[str], None]
"""Receives a sentence about a cached file that cannot be used."""


def digest_path(path: Path) -> Path:
    """The file with the digest of a cached file, next to it."""
    return path.with_name(f"{path.name}.digest")


def store(made: Path, path: Path, made_from: Any) -> None:
    """Move a finished file to its place in the cache, on the same disk, with its digest next to it.

    The digest is written first: if the process is killed in between, the file is made again.

    Args:
        made: the finished file.
        path: its place in the cache.
        made_from: what the file was made from, as JSON: its settings, or the digest of another file.
    """
    digest = digest_path(path)
    partial = digest.with_name(f".{digest.name}.{os.getpid()}")
    try:
        partial.write_text(
            json.dumps({"made_from": made_from, "xxh3_128": file_digest(made)}, sort_keys=True)
        )
        partial.replace(digest)
    finally:
        partial.unlink(missing_ok=True)
    made.replace(path)


def is_intact(path: Path, made_from: Any, warn: Warn | None = None) -> bool:
    """Whether a cached file has the bytes that ``store`` put there, made from ``made_from``.

    ``warn`` gets a sentence about a file that exists but does not match: the caller makes it again.
    """
    if not path.exists():
        return False
    fault = _fault(path, made_from)
    if fault and warn:
        warn(f"{path} {fault}: it is made again.")
    return fault is None


def _fault(path: Path, made_from: Any) -> str | None:
    try:
        facts = json.loads(digest_path(path).read_text())
        wanted, source = facts["xxh3_128"], facts["made_from"]
    except FileNotFoundError:
        return "has no digest next to it"
    except (OSError, ValueError, KeyError, TypeError):
        return "has a damaged digest next to it"
    if source != json.loads(json.dumps(made_from)):
        return "was made from something else"
    if file_digest(path) != wanted:
        return "differs from what was written to the cache"
    return None
