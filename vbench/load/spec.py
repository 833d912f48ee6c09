"""The load process's input: one file with the resolved configuration and the cluster's endpoint."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbench.clusters.base import ClusterEndpoint, NodeAddress
from vbench.config.schema import Config, from_plain
from vbench.record.clip import Clip
from vbench.record.files import clip_of, write_json
from vbench.record.network import Link

JOB = "job.json"
PREPARED = "clip.json"
"""What ``prepare`` leaves for ``drive``: a vbench.record.clip.Clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """One run of the load process."""

    config: Config
    folder: Path
    """The record's folder."""
    endpoint: ClusterEndpoint | None
    """None while no cluster is up yet."""


def write_spec(job: LoadSpec) -> Path:
    """Write it into the record's folder; the file's path."""
    path = job.folder / JOB
    write_json(path, to_plain(job))
    return path


def to_plain(job: LoadSpec) -> dict[str, Any]:
    """As plain values, for ``spec_from_plain``."""
    endpoint = asdict(job.endpoint) if job.endpoint else None
    return {"config": asdict(job.config), "folder": str(job.folder), "endpoint": endpoint}


def read_clip(folder: Path) -> Clip | None:
    """What ``prepare`` left in the record's folder; None if it did not finish."""
    path = folder / PREPARED
    return clip_of(json.loads(path.read_text())) if path.exists() else None


def read_spec(path: Path) -> LoadSpec:
    """Read what ``write_spec`` wrote, through the schema."""
    return spec_from_plain(json.loads(path.read_text()))


def spec_from_plain(data: dict[str, Any]) -> LoadSpec:
    """The job that ``to_plain`` gave."""
    endpoint = data["endpoint"]
    if endpoint is not None:
        nodes = [NodeAddress(**node) for node in endpoint["nodes"]]
        endpoint = ClusterEndpoint(
            **{**endpoint, "nodes": nodes, "links": [Link(**link) for link in endpoint["links"]]}
        )
    return LoadSpec(config=from_plain(data["config"]), folder=Path(data["folder"]), endpoint=endpoint)
