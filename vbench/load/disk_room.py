"""Disk space: checks what a trial may need beforehand, and words the error for a full disk."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.ray_node import LONGEST_TEMP, temp_folder
from vbench.config.schema import Config
from vbench.errors import NoRoomError
from vbench.linux.standard_streams import FULL
from vbench.record.clip import Clip
from vbench.video.scene import clip_path
from vbench.video.scenes.settings import SceneSettings

RESERVE = ".reserve"
RESERVE_BYTES = 512 * 2**10
"""Kept for ``trial.json``, so that a trial which fills the disk still says so. Records have 20 to 60 kB."""

LOGS_BYTES = 16 * 2**20
"""Logs and configuration of one trial, and MLflow's database; 1 to 3 MB were seen."""

TEMPORARY_BYTES = 64 * 2**20
"""Ray's session folder (logs, sockets) and other temporary files of one trial; a short one had 0.4 MB."""

REQUEST_BYTES = 2**10
SPAN_BYTES = 400
SPANS_PER_CHUNK = 10
SAMPLE_BYTES = 2 * 2**10
"""Upper bounds for one line of each of the record's files."""

SAMPLED_S = 1800.0
"""For how long a long trial is sampled."""

SCENE_BYTES_PER_PIXEL = 0.02
"""Coded bytes of one pixel of one frame of a scene; 0.004 to 0.01 were seen at the default quality."""


def is_disk_full(error: BaseException) -> bool:
    """Whether this error, or one that caused it, is about a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        if os.strerror(errno.ENOSPC) in str(cause):  # a tool's message, such as FFmpeg's
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def disk_full_message(error: BaseException, folder: Path | None = None) -> str:
    """The error message for a full disk: that of ``folder``, or of the file that the error names."""
    named = folder or getattr(error, "filename", None) or "the outputs folder"
    return (
        f"no space is left on the disk of {named}: free some, or set outputs=FOLDER on another disk; what"
        " was already written is kept"
    )


@contextmanager
def reserve(folder: Path) -> Iterator[None]:
    """Reserve some space on the disk of ``folder`` during the block, for what is written after it.

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
    """Upper bound of what one trial writes to its outputs folder, including its clip unless it exists."""
    logged = 0 if config.tracking.name == "off" else _record_bytes(config)  # MLflow keeps a copy of the files
    return int(_record_bytes(config) + logged + _scene_bytes(config))


def _record_bytes(config: Config) -> float:
    load = config.load
    video_s = config.video.scene.length_s if config.video.scene else 3600.0
    chunks = video_s / config.pipeline.chunk_s + 1
    requests = load.requests * (REQUEST_BYTES + chunks * SPANS_PER_CHUNK * SPAN_BYTES)
    samples = (len(config.cluster.nodes) + 1) * SAMPLED_S / load.sample_period_s * SAMPLE_BYTES
    return LOGS_BYTES + requests + samples


def _scene_bytes(config: Config) -> float:
    if config.video.scene is None:
        return 0.0
    settings = SceneSettings(**asdict(config.video.scene))
    if clip_path(settings, Path(config.outputs) / "cache" / "scenes").exists():
        return 0.0
    # The clip, and the part of it that is rendered, at the same time.
    return 2 * settings.frames * settings.width * settings.height * SCENE_BYTES_PER_PIXEL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Bytes to be written to a folder, which may not exist yet."""

    folder: Path
    called: str
    nbytes: float
    remedy: str

    @property
    def disk(self) -> Path:
        """An existing folder on the disk that will hold them."""
        return next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())


def check_room(configs: Sequence[Config]) -> None:
    """NoRoomError if a disk has no room for what these trials write: their outputs folder, which exists,
    MLflow's store in it, or the folder for temporary files."""
    outputs = Path(configs[0].outputs).resolve()
    # Scenes are made once for all trials that have them.
    scenes = {str(config.video.scene): _scene_bytes(config) for config in configs}
    needs = [
        _Need(
            folder=outputs,
            called=f"outputs={configs[0].outputs}",
            nbytes=sum(map(_record_bytes, configs)) + sum(scenes.values()),
            remedy="set outputs=FOLDER on another disk",
        ),
        _Need(
            folder=(outputs / "mlartifacts").resolve(),
            called=f"MLflow's store {outputs / 'mlartifacts'}",
            nbytes=sum(_record_bytes(config) for config in configs if config.tracking.name != "off"),
            remedy="set tracking=off",
        ),
        # A trial's temporary files are gone before the next one begins.
        _temporary(TEMPORARY_BYTES if any(config.cluster.name != ATTACHED for config in configs) else 0),
    ]
    _check(needs, "the trial writes" if len(configs) == 1 else f"{len(configs)} trials write")


def check_room_for_copies(copies: int, clip: Clip) -> None:
    """NoRoomError if the folder for temporary files has no room for ``copies`` of a video at a time."""
    times = f"{copies} copies of {clip.address}" if copies > 1 else f"a copy of {clip.address}"
    needed = TEMPORARY_BYTES + copies * clip.size_bytes
    _check([_temporary(needed)], f"the trial, with {times} at a time, writes")


def _temporary(nbytes: float) -> _Need:
    folder = temp_folder().parent
    return _Need(
        folder=folder,
        called=f"the folder for temporary files, {folder},",
        nbytes=nbytes,
        remedy=f"set TMPDIR to a folder on another disk, with a path of at most {LONGEST_TEMP} characters",
    )


def _check(needs: Sequence[_Need], writes: str) -> None:
    """NoRoomError for the first disk without room for everything that will be written to it."""
    by_disk: dict[int, list[_Need]] = {}
    for need in needs:
        if need.nbytes:
            by_disk.setdefault(need.disk.stat().st_dev, []).append(need)
    for first, *others in by_disk.values():
        free = shutil.disk_usage(first.disk).free
        needed = first.nbytes + sum(need.nbytes for need in others)
        if free < needed:
            raise NoRoomError(
                f"{first.called} has {free / 1e6:.0f} MB free, but {writes} up to {needed / 1e6:.0f} MB"
                f" there: free some, or {first.remedy}."
            )
