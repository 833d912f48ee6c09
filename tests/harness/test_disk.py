"""A disk without room: said beforehand, or in one sentence with what fits kept."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vbench import disk
from vbench.compose import check
from vbench.errors import VbenchError
from vbench.trial_folder import read_trial

TMPFS = (
    'mount -t tmpfs -o size="$1" none "$2" && shift 2 && "$@"; status=$?; cp -r "$OUT" "$KEPT"; exit $status'
)


def on_a_small_disk(size: str, tmp_path: Path, *overrides: str) -> tuple[int, str, Path]:
    """Run vbench with ``outputs`` on a disk of this size; (status, all it printed, what was left)."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    out.mkdir()
    command = [sys.executable, "-m", "vbench", f"outputs={out}", "tracking=off", *overrides]
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            TMPFS,
            "sh",
            size,
            str(out),
            *command,
        ],
        env={**os.environ, "OUT": str(out), "KEPT": str(kept)},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout, kept


def test_a_trial_that_does_not_fit_is_refused_before_it_starts(tmp_path: Path) -> None:
    status, output, kept = on_a_small_disk("8m", tmp_path)
    assert status == 2, output
    assert output.startswith("vbench: outputs=")
    assert "MB free, and the trial writes up to" in output
    assert output.count("\n") == 1
    assert not list(kept.glob("runs/*"))


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
    assert not (folder / disk.RESERVE).exists()


def test_what_a_trial_needs_grows_with_what_it_writes() -> None:
    (config,) = check(["tracking=off"], multirun=False)
    more = replace(config, load=replace(config.load, requests=100 * config.load.requests))
    assert disk.needed_bytes(more) > disk.needed_bytes(config)
    assert disk.needed_bytes(replace(config, tracking=replace(config.tracking, name="sqlite"))) > (
        disk.needed_bytes(config)
    )
    assert disk.needed_bytes(config) < 300e6, "a default trial must fit on any laptop"


def test_a_full_disk_is_known_by_its_error_or_a_tools_words() -> None:
    assert disk.is_full(OSError(errno.ENOSPC, "No space left on device", "/x"))
    assert disk.is_full(VbenchError("FFmpeg: av_interleaved_write_frame(): No space left on device"))
    wrapped = ValueError("x")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert disk.is_full(wrapped)
    assert not disk.is_full(OSError(errno.EACCES, "Permission denied"))
