"""A disk without room: said beforehand, or in one sentence with what fits kept."""

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.http_files import Behaviour, serving
from tests.support.runs import output_of
from vbench.errors import VbenchError
from vbench.load import disk_room
from vbench.record.files import read_trial
from vbench.run.compose import compose_configs
from vbench.video.scene import SceneSettings, ensure_clip

TMPFS = (
    'mount -t tmpfs -o size="$1" none "$2" && shift 2 && "$@"; status=$?; cp -r "$OUT" "$KEPT"; exit $status'
)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files, with a path that is short enough for Ray's sockets."""
    path = Path(tempfile.mkdtemp(prefix="vd", dir="/tmp"))
    yield path
    path.rmdir()


def on_a_small_disk(
    size: str, tmp_path: Path, *overrides: str, at: Path | None = None, tracking: str = "off"
) -> tuple[int, str, Path]:
    """Run vbench with ``outputs``, or what is ``at`` that folder, on a disk of this size; (status, all it
    printed, what was left)."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    (at or out).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "vbench", f"outputs={out}", f"tracking={tracking}", *overrides]
    temporary = {} if at is None or at.is_relative_to(out) else {"TMPDIR": str(at)}
    status, output = output_of(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
            *(TMPFS, "sh", size, str(at or out), *command),
        ],
        env={**os.environ, "OUT": str(out), "KEPT": str(kept), **temporary},
        timeout_s=240,
    )
    return status, output, kept


def test_a_trial_that_does_not_fit_is_refused_before_it_starts(tmp_path: Path) -> None:
    status, output, kept = on_a_small_disk("8m", tmp_path)
    assert status == 1, output
    assert output.startswith("vbench: outputs=")
    assert "MB free, but the trial writes up to" in output
    assert output.count("\n") == 1
    assert not list(kept.glob("runs/*"))


def test_a_disk_that_is_full_already_is_said_so(tmp_path: Path) -> None:
    status, output, _ = on_a_small_disk("8m,nr_inodes=2", tmp_path)
    assert status == 1, output
    assert output.startswith(f"vbench: no space is left on the disk of {tmp_path}/out: free some")
    assert output.count("\n") == 1


def test_temporary_files_that_do_not_fit_are_refused_before_a_trial_starts(
    tmp_path: Path, temporary: Path
) -> None:
    status, output, kept = on_a_small_disk("8m", tmp_path, at=temporary)
    assert status == 1, output
    assert output.startswith(f"vbench: the folder for temporary files, {temporary}, has 8 MB free, but the")
    assert output.endswith(
        "or set TMPDIR to a folder on another disk, with a path of at most 26 characters.\n"
    )
    assert not list(kept.glob("runs/*"))


def test_a_store_of_mlflow_without_room_is_refused_before_a_trial_starts(tmp_path: Path) -> None:
    store = tmp_path / "out" / "mlartifacts"
    status, output, kept = on_a_small_disk("8m", tmp_path, at=store, tracking="sqlite")
    assert status == 1, output
    assert output.startswith(f"vbench: MLflow's store {store} has 8 MB free, but the trial writes up to")
    assert output.endswith("or set tracking=off.\n")
    assert not list(kept.glob("runs/*"))


@pytest.mark.slow
def test_copies_of_a_remote_video_that_do_not_fit_are_refused_before_a_cluster_starts(
    tmp_path: Path, temporary: Path
) -> None:
    """On a disk with room for the trial's other temporary files and one copy more; five come at a time."""
    settings = SceneSettings(width=320, height=180, fps="10", length_s=4, unique_s=2, gop_s=2, objects=3)
    clip = ensure_clip(settings, tmp_path / "scene").read_bytes()
    room = disk_room.TEMPORARY_BYTES + 3 * len(clip)
    with serving(Behaviour(clip)) as url:
        video = ("video=file", f"video.path={url}/clip.mp4", "load.concurrency=5", "load.requests=5")
        service = "cluster.deployments.service.max_ongoing_requests=5"
        status, output, kept = on_a_small_disk(str(room), tmp_path, *video, service, at=temporary)
    assert status == 1, output
    assert f"with 5 copies of {url}/clip.mp4 at a time, writes up to" in output
    (folder,) = kept.glob("runs/*")
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("failed", False)
    assert not (folder / "ray.log").exists()


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_a_record_that_says_so(tmp_path: Path) -> None:
    """A scene without compression is far larger than any that the estimate was made for."""
    scene = ("video.scene.length_s=4", "video.scene.unique_s=4", "video.scene.crf=0")
    status, output, kept = on_a_small_disk("33m", tmp_path, *scene)
    assert status == 1, output
    assert "Traceback" not in output
    assert "no space is left on the disk of" in output
    (folder,) = kept.glob("runs/*")
    trial = read_trial(folder)
    assert (trial.status, trial.valid) == ("failed", False)
    assert trial.error is not None
    assert "no space is left" in trial.error
    assert not (folder / disk_room.RESERVE).exists()


def test_what_a_trial_needs_grows_with_what_it_writes() -> None:
    (config,) = compose_configs(["tracking=off"], multirun=False)
    more = replace(config, load=replace(config.load, requests=100 * config.load.requests))
    assert disk_room.needed_bytes(more) > disk_room.needed_bytes(config)
    assert disk_room.needed_bytes(replace(config, tracking=replace(config.tracking, name="sqlite"))) > (
        disk_room.needed_bytes(config)
    )
    assert disk_room.needed_bytes(config) < 300e6, "a default trial must fit on any laptop"


def test_a_full_disk_is_known_by_its_error_or_a_tools_words() -> None:
    assert disk_room.is_disk_full(OSError(errno.ENOSPC, "No space left on device", "/x"))
    assert disk_room.is_disk_full(
        VbenchError("FFmpeg: av_interleaved_write_frame(): No space left on device")
    )
    wrapped = ValueError("x")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert disk_room.is_disk_full(wrapped)
    assert not disk_room.is_disk_full(OSError(errno.EACCES, "Permission denied"))
