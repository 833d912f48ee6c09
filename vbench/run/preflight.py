"""Checks before anything is written or started: the machine can run it, and records can be written."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.registry import NAMES, kind
from vbench.config.path_option import usable_outputs
from vbench.config.quoting import override
from vbench.config.schema import Config
from vbench.errors import ConfigError, InputError, NoRoomError
from vbench.load.disk_room import disk_full_message, is_disk_full
from vbench.run.app_preflight import check_applications
from vbench.tracking.database import unusable_database
from vbench.video.errors import ToolMissingError
from vbench.video.ffmpeg.executable import require_hwaccel


def check_machine(configs: Sequence[Config]) -> None:
    """InputError if this machine cannot run the cluster of one of these trials; each different cluster is
    checked once."""
    different = {
        json.dumps(
            [
                asdict(config.cluster),
                config.runtime.name,
                config.outputs,
                config.video.path,
                config.pipeline.hwaccel,
            ],
            sort_keys=True,
        ): config
        for config in configs
    }
    for config in different.values():
        if config.cluster.name not in NAMES:
            raise InputError(
                f"cluster={config.cluster.name} describes machines that other tools start: write a manifest"
                f" with 'vbench manifests kuberay-cluster cluster={config.cluster.name}' or 'vbench manifests"
                f" rayup cluster={config.cluster.name}', start it, and run the trial with cluster=attached. A"
                f" trial runs on one of: {', '.join(NAMES)}."
            )
        kind(config.cluster.name).check(config)
        if config.pipeline.hwaccel is not None and config.cluster.name != ATTACHED:
            _check_hwaccel(config.pipeline.hwaccel)
    check_applications(configs)


def _check_hwaccel(name: str) -> None:
    """InputError if this machine, whose FFmpeg the decoders run, has no such hardware."""
    try:
        require_hwaccel(name)
    except ToolMissingError as error:
        remedy = str(error).replace("hwaccel=null", "pipeline.hwaccel=null")
        raise InputError(f"pipeline.hwaccel={name}: {remedy}.") from error


def check_outputs(outputs: Path, *, tracked: bool, experiments: Iterable[str] = ()) -> None:
    """ConfigError if nothing can be written, or MLflow cannot log it, before anything is measured.

    ``experiments``: MLflow's, to which trials are logged.
    NoRoomError if the disk is full.
    """
    if tracked:
        from vbench.record.files import DATABASE
        from vbench.tracking.mlflow import unusable_outputs

        if (problem := unusable_outputs(outputs)) is not None:
            raise ConfigError(
                f"outputs={outputs}: {problem}: give a folder without ? # % in its path, such as"
                f" {override('outputs', usable_outputs())}, or tracking=off."
            )
        for experiment in experiments:
            if (problem := unusable_database(outputs / DATABASE, experiment)) is not None:
                raise ConfigError(problem)
    try:
        for folder in (outputs, outputs / "runs", outputs / "sweeps", outputs / "cache"):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        if is_disk_full(error):
            raise NoRoomError(f"{disk_full_message(error, outputs)}.") from error
        raise ConfigError(
            f"outputs={outputs} cannot be written to ({error.strerror}); give a folder of your own, such as"
            f" outputs=/tmp/vbench."
        ) from error
