"""The files of a trial's record: each is written completely or not at all, and read back."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vbench.config.schema import Config
from vbench.record.calls import Call
from vbench.record.clip import Clip
from vbench.record.earlier_versions import GONE, READABLE, to_current
from vbench.record.load_report import LoadReport
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import MachineSample, NodeSample
from vbench.record.trial import Trial
from vbench.record.typed_json import MismatchError, OtherFieldsError, loads, present, reader

TRIAL = "trial.json"
REQUESTS = "requests.jsonl"
SPANS = "spans.jsonl"
CALLS = "calls.jsonl"
NODES = "nodes.jsonl"
MACHINES = "machines.jsonl"
LOAD_REPORT = "load_report.json"

SWEEP = "sweep.json"
"""File of a sweep's folder with its plan."""

EARLIER = "earlier"
"""Folder of a sweep that keeps the records of trials that were run again."""

BASELINES = "baselines"
"""Folder of copies of sweeps that later ones are compared with, in an outputs folder."""

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
"""What MLflow keeps in an outputs folder."""

ALWAYS = ("mode", "outputs", "cluster.nodes", "runtime.name", "model.name", "load.name", "pipeline")
"""Keys that the configuration of every record has, whatever its version."""

ENVIRONMENT: Mapping[str, Any] = {
    "code": str | None,
    "git_revision": str | None,
    "git_clean": bool | None,
    "python": str,
    "packages": Mapping[str, str | None],
}
"""Keys of a trial's environment that are read, with their types."""


def write_json(path: Path, value: Any) -> None:
    """Write a dataclass or plain value as JSON, whole or not at all."""
    data = (
        dataclasses.asdict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
        else value
    )
    if isinstance(value, Trial):
        data.pop("folder")
    _write(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def write_lines(path: Path, lines: Iterable[Any]) -> None:
    """Write dataclasses as JSON lines, whole or not at all."""
    encode = json.JSONEncoder(allow_nan=False, default=_fields).encode
    _write(path, "".join(encode(line) + "\n" for line in lines))


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass by its fields, for a line of JSON; ``dataclasses.asdict`` would copy all of it first."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class RecordError(ValueError):
    """A folder holds no record that can be read; the message names it."""


class DamagedError(RecordError):
    """A file of a record is not what any version of vbench writes."""


def _read(path: Path) -> str:
    """A file's text; FileNotFoundError if there is none, DamagedError if it cannot be read."""
    try:
        return path.read_text()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def read_json(path: Path) -> Any:
    """A JSON file's value; FileNotFoundError if there is none, DamagedError if it cannot be read."""
    text = _read(path)
    try:
        return loads(text)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}") from error


def _wrong(path: Path, error: ValueError, location: str = "") -> RecordError:
    """The error for a file that says ``error`` at ``location``."""
    if isinstance(error, OtherFieldsError):
        return RecordError(f"{path} is damaged, or of another version of vbench: {location}{error}")
    return DamagedError(f"{path} is damaged: {location}{error}")


def _read_lines(path: Path, kind: Any) -> list[Any]:
    """A file's lines, without the keys that only earlier versions have."""
    convert, values = reader(kind), []
    gone = GONE.get(path.name, ())
    try:
        lines = _read(path).splitlines()
    except FileNotFoundError:
        return []
    for number, line in enumerate(lines, start=1):
        try:
            data = loads(line)
            if gone and isinstance(data, dict):
                for key in gone:
                    data.pop(key, None)
            values.append(convert(data))
        except ValueError as error:
            raise _wrong(path, error, f"line {number}: ") from error
    return values


def read_requests(folder: Path) -> list[Request]:
    """The measured requests; none if the trial did not get that far."""
    return _read_lines(folder / REQUESTS, Request)


def read_spans(folder: Path) -> list[SpanLine]:
    """The stage spans of the measured requests."""
    return _read_lines(folder / SPANS, SpanLine)


def read_calls(folder: Path) -> list[Call]:
    """The calls of an application's deployments; none for other workloads, and in records of earlier
    versions."""
    return _read_lines(folder / CALLS, Call)


def read_samples(folder: Path) -> list[NodeSample]:
    """The samples of all nodes."""
    return _read_lines(folder / NODES, NodeSample)


def read_machines(folder: Path) -> list[MachineSample]:
    """The samples of all machines."""
    return _read_lines(folder / MACHINES, MachineSample)


def read_load_report(folder: Path) -> LoadReport | None:
    """What the load process reported; None if it did not get that far."""
    path = folder / LOAD_REPORT
    try:
        data = read_json(path)
    except FileNotFoundError:
        return None
    try:
        load_report: LoadReport = reader(LoadReport)(data)
    except ValueError as error:
        raise _wrong(path, error) from error
    return load_report


def clip_of(data: dict[str, Any]) -> Clip:
    """The clip that was written as plain values; ValueError if it is none."""
    clip: Clip = reader(Clip)(data)
    return clip


def read_trial(folder: Path) -> Trial:
    """A trial's record; RecordError if there is none, or one of an unknown schema version."""
    path = folder / TRIAL
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        raise RecordError(
            f"{folder} holds no {TRIAL}: it is not the folder of a trial; give one, such as outputs/runs/TIME"
        ) from error
    if not isinstance(data, dict):
        raise DamagedError(f"{path} is damaged: it holds no object")
    if data.get("schema_version") not in READABLE:
        raise RecordError(
            f"{path} has schema version {data.get('schema_version')}; this vbench reads versions"
            f" {' and '.join(map(str, READABLE))}"
        )
    try:
        trial: Trial = reader(Trial)(to_current(data))
        _check_plain(trial)
    except ValueError as error:
        raise _wrong(path, error) from error
    return dataclasses.replace(trial, folder=str(folder))


def _check_plain(trial: Trial) -> None:
    """MismatchError if configuration or environment have other types than the schema. They stay plain values,
    since those of other versions have other keys."""
    try:
        present(Config, trial.config)
        for key in ALWAYS:
            node: Any = trial.config
            for name in key.split("."):
                if not isinstance(node, dict) or name not in node:
                    raise OtherFieldsError(f"'{key}' is missing")
                node = node[name]
    except MismatchError as error:
        raise error.below("config") from None
    for name, kind in ENVIRONMENT.items():
        if name in trial.environment:
            try:
                reader(kind)(trial.environment[name])
            except MismatchError as error:
                raise error.below(f"environment.{name}") from None


def trial_folders(folder: Path) -> list[Path]:
    """The folder itself if it holds a trial, otherwise all trials below it, except copies for MLflow and
    baselines, and those that a sweep ran again."""
    if (folder / TRIAL).exists():
        return [folder]
    below = (path.parent for path in folder.rglob(TRIAL))
    return sorted(
        path for path in below if not {ARTIFACTS, EARLIER, BASELINES} & set(path.relative_to(folder).parts)
    )
