"""The folder of a trial: the files of its record, each written whole or not at all, and read back."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vbench.network import LinkSample, read_network
from vbench.record import (
    SCHEMA_VERSION,
    Clip,
    Connections,
    GpuSample,
    Graph,
    Harness,
    Listener,
    MachineSample,
    NodeRuntime,
    NodeSample,
    Observed,
    PlacedReplica,
    ReplicaReport,
    Request,
    Rule,
    SpanLine,
    Speed,
    SpeedChange,
    Stall,
    Trial,
)

TRIAL = "trial.json"
REQUESTS = "requests.jsonl"
SPANS = "spans.jsonl"
NODES = "nodes.jsonl"
MACHINES = "machines.jsonl"
OBSERVED = "observed.json"


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
    _write(path, "".join(json.dumps(dataclasses.asdict(line), allow_nan=False) + "\n" for line in lines))


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


def _read_lines(path: Path, kind: Callable[..., Any]) -> list[Any]:
    try:
        return [kind(**json.loads(line)) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise RecordError(f"{path} is damaged: {error}") from error


def read_requests(folder: Path) -> list[Request]:
    """The measured requests; none where the trial did not come so far."""
    return _read_lines(folder / REQUESTS, _request)


def _request(**data: Any) -> Request:
    replicas = tuple(ReplicaReport(**one) for one in data.pop("replicas", ()))
    return Request(**data, replicas=replicas)


def read_spans(folder: Path) -> list[SpanLine]:
    """The stage spans of the measured requests."""
    return _read_lines(folder / SPANS, SpanLine)


def read_samples(folder: Path) -> list[NodeSample]:
    """The samples of all nodes."""
    return _read_lines(folder / NODES, _node_sample)


def _node_sample(**data: Any) -> NodeSample:
    link = data.pop("link")
    data.pop("gpu_percent", None)  # in records of before, and never known
    return NodeSample(**data, link=_link(link) if link else None)


def _link(data: dict[str, Any]) -> LinkSample:
    flows = {name: tuple(counts) for name, counts in data.pop("flows", {}).items()}
    return LinkSample(**data, flows=flows)


def read_machines(folder: Path) -> list[MachineSample]:
    """The samples of all machines."""
    return _read_lines(folder / MACHINES, _machine_sample)


def _machine_sample(**data: Any) -> MachineSample:
    gpus = tuple(_gpu(gpu) for gpu in data.pop("gpus", ()))
    stopped = tuple(data.pop("stopped", ()))
    return MachineSample(**data, stopped=stopped, gpus=gpus)


def _gpu(data: dict[str, Any]) -> GpuSample:
    foreign = tuple(data.pop("foreign_processes", ()))
    return GpuSample(**data, foreign_processes=foreign)


def read_observed(folder: Path) -> Observed | None:
    """What the load process saw; None where it did not come so far."""
    path = folder / OBSERVED
    return _observed(json.loads(path.read_text())) if path.exists() else None


def _observed(data: dict[str, Any]) -> Observed:
    data["runtime_found"] = [NodeRuntime(**node) for node in data["runtime_found"]]
    data["connections"] = [Connections(**pair) for pair in data["connections"]]
    data["stalls"] = tuple(Stall(**stall) for stall in data.get("stalls", ()))
    data["speeds"] = {
        machine: SpeedChange(before=Speed(**one["before"]), after=Speed(**one["after"]))
        for machine, one in data.get("speeds", {}).items()
    }
    graph = data.get("graph")
    data["graph"] = _graph(graph) if graph else None
    return Observed(**data)


def clip_of(data: dict[str, Any]) -> Clip:
    """The clip that was written as plain values."""
    return Clip(**{**data, "variants": tuple(data.get("variants", ()))})


def _graph(data: dict[str, Any]) -> Graph:
    data["listeners"] = [Listener(**one) for one in data["listeners"]]
    for name in ("replicas_before", "replicas_after"):
        data[name] = [PlacedReplica(**one) for one in data[name]]
    return Graph(**data)


def _harness(data: dict[str, Any] | None) -> Harness | None:
    if data is None:
        return None
    data["stalls"] = tuple(Stall(**stall) for stall in data["stalls"])
    for name in ("speed_before", "speed_after"):
        data[name] = Speed(**data[name]) if data[name] else None
    return Harness(**data)


def read_trial(folder: Path) -> Trial:
    """A trial's record; RecordError where there is none, or one of another schema version."""
    path = folder / TRIAL
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RecordError(f"{folder} holds no {TRIAL}: it is not the folder of a trial") from error
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    if data.get("schema_version") != SCHEMA_VERSION:
        raise RecordError(
            f"{path} has schema version {data.get('schema_version')}, this vbench reads {SCHEMA_VERSION}"
        )
    data["rules"] = [Rule(**rule) for rule in data["rules"]]
    data["clip"] = clip_of(data["clip"]) if data["clip"] else None
    data["network"] = read_network(data["network"]) if data["network"] else None
    try:
        data["observed"] = _observed(data["observed"]) if data["observed"] else None
        data["harness"] = _harness(data.get("harness"))
        data["loosened"] = tuple(data.get("loosened", ()))
        return Trial(**data, folder=str(folder))
    except TypeError as error:
        raise RecordError(f"{path} is damaged, or of a later version of vbench: {error}") from error
