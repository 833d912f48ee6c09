"""Room on the disk: what a trial needs at most, checked beforehand, and what to say when none is left."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from vbench.errors import ConfigError
from vbench.schema import Config
from vbench.video.scene import clip_path
from vbench.video.scene_settings import SceneSettings

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

RESERVE = ".reserve"
RESERVE_BYTES = 512 * 2**10
"""Kept for ``trial.json``, so that a trial which fills the disk still says so. Records have 20 to 60 kB."""

LOGS_BYTES = 16 * 2**20
"""Logs and configuration of one trial, and MLflow's database; 1 to 3 MB were seen."""

REQUEST_BYTES = 2**10
SPAN_BYTES = 400
SPANS_PER_CHUNK = 10
SAMPLE_BYTES = 2 * 2**10
"""One line of each of the record's files, at the most."""

SAMPLED_S = 1800.0
"""How long a trial is sampled if it takes long."""

SCENE_BYTES_PER_PIXEL = 0.02
"""Coded bytes of one pixel of one frame of a scene; 0.004 to 0.01 were seen at the default quality."""


def is_full(error: BaseException) -> bool:
    """Whether this error, or one that it came of, says that the disk is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            return True
        if os.strerror(errno.ENOSPC) in str(cause):  # a tool's words, such as FFmpeg's
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def no_room(error: BaseException, folder: Path | None = None) -> str:
    """The sentence for a disk that was full when ``folder`` was written, or the file that the error names."""
    named = folder or getattr(error, "filename", None) or "the outputs folder"
    return (
        f"no space is left on the disk of {named}: free some, or give outputs=FOLDER on another disk; what"
        " was written before is kept"
    )


@contextmanager
def reserve(folder: Path) -> Iterator[None]:
    """Hold some room on the disk of ``folder`` for the block, free again for what is written after it.

    OSError if there is not even that much.
    """
    path = folder / RESERVE
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def needed_bytes(config: Config) -> int:
    """What one trial writes at most below its outputs folder, its clip included if that is not there yet."""
    load = config.load
    video_s = config.video.scene.length_s if config.video.scene else 3600.0
    chunks = video_s / config.pipeline.chunk_s + 1
    requests = load.requests * (REQUEST_BYTES + chunks * SPANS_PER_CHUNK * SPAN_BYTES)
    samples = (len(config.cluster.nodes) + 1) * SAMPLED_S / load.sample_period_s * SAMPLE_BYTES
    record = LOGS_BYTES + requests + samples
    copies = 1 if config.tracking.name == "off" else 2  # MLflow keeps a copy of the record's files
    return int(copies * record + _scene_bytes(config))


def _scene_bytes(config: Config) -> float:
    if config.video.scene is None:
        return 0.0
    settings = SceneSettings(**asdict(config.video.scene))
    if clip_path(settings, Path(config.outputs) / "cache" / "scenes").exists():
        return 0.0
    # The clip, and the part of it that is rendered, at the same time.
    return 2 * settings.frames * settings.width * settings.height * SCENE_BYTES_PER_PIXEL


def check_room(configs: Sequence[Config]) -> None:
    """ConfigError if the disk of the outputs folder, which exists, has no room for these trials."""
    outputs = Path(configs[0].outputs)
    free = shutil.disk_usage(outputs).free
    # Scenes are made once for all trials that have them.
    scenes = {str(config.video.scene): _scene_bytes(config) for config in configs}
    needed = sum(needed_bytes(config) - _scene_bytes(config) for config in configs) + sum(scenes.values())
    if free < needed:
        trials = "the trial writes" if len(configs) == 1 else f"{len(configs)} trials write"
        raise ConfigError(
            f"outputs={outputs} has {free / 1e6:.0f} MB free, and {trials} up to {needed / 1e6:.0f} MB: free"
            " some, or give outputs=FOLDER on another disk."
        )
