"""Baselines: sweeps whose records are kept under a name, so that later ones can be compared with them.

``OUTPUTS/baselines/NAME`` holds a folder for each sweep that was saved under that name, with ``sweep.json``,
the files of its trials that a comparison reads, the ledger as it was then, and ``baseline.json``. The latest
one is the baseline, all of them are its history.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vbench.errors import ConfigError, nearest
from vbench.record import ledger
from vbench.record.files import BASELINES, EARLIER, SWEEP, TRIAL, RecordError, read_json, write_json
from vbench.record.typed_json import reader

SAVED = "baseline.json"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """``baseline.json``: when a sweep was saved, and where it was."""

    saved: str
    """ISO 8601, UTC."""
    sweep: str
    """The sweep's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A sweep that was saved under a name."""

    name: str
    folder: Path
    """The copy of its records."""
    saved: Saved


def save(outputs: Path, name: str, sweep: Path) -> Entry:
    """Copy the records of a sweep.

    ConfigError for a name that is no name, a folder without trials, or a sweep that was saved before.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"'{name}' is no name of a baseline: give letters, digits, '.', '_' and '-', such as main"
        )
    trials = [path.parent for path in sweep.glob(f"*/{TRIAL}")] if (sweep / SWEEP).is_file() else []
    if not trials:
        raise ConfigError(
            f"{sweep} is not the folder of a sweep with trials: give one, such as outputs/sweeps/TIME"
        )
    sweep_id = str(read_json(sweep / SWEEP).get("sweep_id", ""))
    folder = outputs / BASELINES / name / f"{sweep.resolve().name}-{sweep_id[:8]}"
    if folder.exists():
        raise ConfigError(f"{sweep} has been saved as {name} before: delete {folder} to save it again")
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    saved = Saved(saved=now, sweep=str(sweep.resolve()))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as temporary:
            whole = Path(temporary) / "sweep"
            _copy(sweep, whole)
            for trial in (*trials, *(path.parent for path in sweep.glob(f"{EARLIER}/*/{TRIAL}"))):
                _copy(trial, whole / trial.relative_to(sweep))
            if (book := ledger.find(sweep, outputs)) is not None:
                shutil.copy2(book.path, whole / ledger.LEDGER)
            write_json(whole / SAVED, saved)
            whole.rename(folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): give other --outputs") from error
    return Entry(name=name, folder=folder, saved=saved)


def _copy(folder: Path, to: Path) -> None:
    """The files of a folder that a comparison reads, byte by byte."""
    to.mkdir(parents=True)
    for file in folder.iterdir():
        if file.suffix in ledger.HASHED and file.is_file() and not file.name.startswith("comparison"):
            shutil.copy2(file, to / file.name)


def entries(outputs: Path) -> Iterator[Entry]:
    """All sweeps that were saved, by name, the oldest first."""
    found = [_read(path) for path in (outputs / BASELINES).glob(f"*/*/{SAVED}")]
    yield from sorted(found, key=lambda entry: (entry.name, entry.saved.saved))


def history(outputs: Path, name: str) -> list[Entry]:
    """The sweeps that were saved under this name, the oldest first; ConfigError for none."""
    known = list(entries(outputs))
    of_name = [entry for entry in known if entry.name == name]
    if not of_name:
        names = list(dict.fromkeys(entry.name for entry in known))
        raise ConfigError(
            f"there is no baseline {name} in {outputs / BASELINES}: "
            + (nearest(name, names) if names else f"save one with vbench baseline save {name} SWEEP_FOLDER")
        )
    return of_name


def _read(path: Path) -> Entry:
    try:
        saved: Saved = reader(Saved)(read_json(path))
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    return Entry(name=path.parent.parent.name, folder=path.parent, saved=saved)
