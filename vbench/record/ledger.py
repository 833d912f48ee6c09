"""The ledger of an outputs folder: every trial begun there, and the hashes of the files that it left.

``ledger.jsonl`` is only ever appended to. Each line holds the hash of the line before and its own, so that
editing or removing a line breaks the chain. Rewriting the whole ledger is not noticed.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbench.record.typed_json import loads, reader

LEDGER = "ledger.jsonl"
FIRST = "0" * 64
"""What the first line has for the hash of the line before."""

BEGUN, ENDED, JUDGED = "begun", "ended", "judged"

HASHED = (".json", ".jsonl")
"""Suffixes of a record's files; logs and the configuration's copies are not what a comparison reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The line that a trial writes when it begins."""

    trial_id: str
    at: str
    """ISO 8601, UTC."""
    sweep_id: str
    """Empty for a trial that belongs to no sweep."""
    experiment: str
    """MLflow's experiment; empty if nothing is logged."""
    folder: str
    """Absolute, as it was then."""
    arm: str
    block: int
    question: str
    """Equal for configurations that measure the same thing: vbench.record.question."""
    command: list[str]
    code: str
    """Digest of the code that ran."""
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The line that a trial writes when it ends."""

    trial_id: str
    at: str
    status: str
    valid: bool
    files: Mapping[str, str]
    """Name -> sha256 of each file of the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A ledger as read. Trials by id."""

    path: Path
    begun: Mapping[str, Begun] = field(default_factory=dict)
    ended: Mapping[str, Ended] = field(default_factory=dict)
    hashes: frozenset[str] = frozenset()
    """Of all its lines."""
    faults: Sequence[str] = ()
    """A sentence per line that is not as it was written."""


_LINE, _TEXT = reader(Mapping[str, Any]), reader(str)
_BEGUN, _ENDED = reader(Begun), reader(Ended)


def append(outputs: Path, event: str, facts: Mapping[str, Any]) -> str:
    """Append a line; its hash. One writer at a time, whole or not at all; OSError if it cannot be written."""
    outputs.mkdir(parents=True, exist_ok=True)
    with (outputs / LEDGER).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last, whole = _last_line(file)
        plain = {"event": event, **facts, "previous": last}
        digest = _hash(plain)
        line = json.dumps({**plain, "hash": digest}, allow_nan=False) + "\n"
        file.write((line if whole else f"\n{line}").encode())
        file.flush()
        os.fsync(file.fileno())
    return digest


def _hash(plain: Mapping[str, Any]) -> str:
    """Of a line without its own hash, however its keys are ordered."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _last_line(file: Any) -> tuple[str, bool]:
    """The last line's hash, and whether the file ends with a whole line."""
    end = file.seek(0, os.SEEK_END)
    size, tail = 4096, b""
    while end:
        file.seek(max(0, end - size))
        tail = file.read()
        if tail.rstrip(b"\n").count(b"\n") or size >= end:
            break
        size *= 4
    lines = tail.splitlines()
    if not lines:
        return FIRST, True
    try:
        last_hash = json.loads(lines[-1])["hash"]
    except (ValueError, KeyError, TypeError):
        # Whatever stands there, the chain goes on from it: reading names that line.
        last_hash = hashlib.sha256(lines[-1]).hexdigest()
    return str(last_hash), tail.endswith(b"\n")


def file_hashes(folder: Path) -> dict[str, str]:
    """Name -> sha256 of each file of a trial's record."""
    files = (path for path in folder.iterdir() if path.suffix in HASHED and path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def read(outputs: Path) -> Ledger | None:
    """The ledger of an outputs folder, its chain checked; None if there is none."""
    path = outputs / LEDGER
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    begun: dict[str, Begun] = {}
    ended: dict[str, Ended] = {}
    hashes: set[str] = set()
    faults: list[str] = []
    before = FIRST
    for number, line in enumerate(lines, start=1):
        try:
            data = _LINE(loads(line))
            digest, event, previous = (_TEXT(data[name]) for name in ("hash", "event", "previous"))
            del data["hash"]
        except (ValueError, KeyError):
            faults.append(
                f"line {number} of {LEDGER} cannot be read: it was edited, or its writer was killed"
            )
            before = hashlib.sha256(line).hexdigest()
            continue
        what = f"line {number} of {LEDGER} ({event} {data.get('trial_id')}, {data.get('at')})"
        if _hash(data) != digest:
            faults.append(f"{what} was edited: its hash does not match")
        if previous != before:
            faults.append(f"{what} does not follow the line before: lines were removed, added or moved")
        before = digest
        hashes.add(digest)
        del data["event"], data["previous"]
        try:
            if event == BEGUN:
                begun[data["trial_id"]] = _BEGUN(data)
            elif event == ENDED:
                ended[data["trial_id"]] = _ENDED(data)
        except (ValueError, KeyError, TypeError):
            faults.append(f"{what} is of another version of vbench, or was edited")
    return Ledger(path=path, begun=begun, ended=ended, hashes=frozenset(hashes), faults=faults)


def find(folder: Path, *others: Path) -> Ledger | None:
    """The ledger of ``folder``, or of the nearest of the three above it (``outputs/sweeps/TIME/N``), else of
    the first of ``others`` that has one; None if there is none."""
    here = folder.resolve()
    for candidate in (here, *here.parents[:3], *others):
        if (candidate / LEDGER).is_file():
            return read(candidate)
    return None
