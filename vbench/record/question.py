"""Which configurations measure the same thing, so that repeats are found whatever else was changed.

The question is what is measured: the cluster, the runtime setting, the model, the mode, the pipeline, the
shape of the load and the video. Bounds, seeds, timeouts, names and folders do not change it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any

import xxhash

from vbench.config.leaves import leaves
from vbench.config.workload import Workload, workload_of_plain
from vbench.record.fingerprint import is_as_before

IMMATERIAL = (
    "label",
    "block",
    "blocks",
    "design",
    "analysis.*",
    "outputs",
    "tracking.*",
    # Bounds, and how closely a trial is watched.
    "load.max_*",
    "load.min_*",
    "load.sample_period_s",
    # What only draws one of many equal trials.
    "*.seed",
    # Timeouts: they end a trial, or do not matter.
    "*timeout_s",
    # Where a cluster is found, and how it is reached.
    "cluster.address",
    "cluster.addresses.*",
    "cluster.dashboard_port",
    "cluster.http_port",
    "cluster.private_network",
    "cluster.dependencies",
    # What only manifests read.
    "cluster.region",
    "cluster.nodes.*.instance",
    "cluster.nodes.*.memory_mb",
    "cluster.nodes.*.vcpus",
    # Names of options: their values are compared. Room in a queue, which a closed loop does not fill.
    "runtime.name",
    "pipeline.name",
    "pipeline.queue_length",
)
"""Patterns of keys that do not change what is measured."""

OF_TRANSFERS = ("load.object_mb", "load.objects")
"""Keys that only ``load=transfer`` reads."""

OF_VIDEOS = ("mode", "model.*", "pipeline.*", "video.*", "cluster.deployments.*")
"""Keys that only the built-in service reads."""

UNREAD: Mapping[Workload, Sequence[str]] = {
    "video": OF_TRANSFERS,
    "transfer": (*OF_VIDEOS, "load.concurrency"),
    "app": (*OF_TRANSFERS, *OF_VIDEOS, "app.working_dir"),
}
"""Workload -> keys that it does not read."""

RATES = ("pipeline.fps", "video.scene.fps")
"""Rates as text: 2, 2.0 and 4/2 are the same."""

FILES = ("video.path", "model.weights", "app.requests", "app.config")
"""Keys whose value may be a file, which can be copied, renamed or reached by another path."""

PART_BYTES = 2**20


def question(config: Mapping[str, Any]) -> str:
    """Equal for configurations that measure the same thing, 16 hex digits.

    ``config``: resolved, as plain values. Reads a little of the files that it names.
    """
    plain = json.dumps(dict(_material(config)), sort_keys=True)
    return hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()


def _material(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Key and value of each leaf that changes what is measured."""
    ignored = (*IMMATERIAL, *UNREAD[workload_of_plain(config)])
    for key, value in leaves(config):
        if is_as_before(key, value) or any(fnmatchcase(key, pattern) for pattern in ignored):
            continue
        if key == "load.warmup":
            # How many there are does not matter; without one, cold replicas are measured.
            yield key, bool(value)
        elif key in RATES and value is not None:
            yield key, str(Fraction(str(value)))
        elif key in FILES and value is not None:
            yield key, _file(str(value))
        else:
            yield key, value


def _file(value: str) -> str:
    """The size of a file and a digest of its beginning and end; an address without its query, which may hold
    a signature that changes; other values as they are."""
    if "://" in value:
        return value.partition("?")[0]
    path = Path(value)
    try:
        if not path.is_file():
            return value
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = xxhash.xxh3_128(file.read(PART_BYTES))
            file.seek(max(0, size - PART_BYTES))
            digest.update(file.read(PART_BYTES))
    except OSError:
        return value
    return f"{size} bytes {digest.hexdigest()}"
