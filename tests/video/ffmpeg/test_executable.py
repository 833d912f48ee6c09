"""FFmpeg is found, told apart from other programs, and its absence explained."""

import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.video.support.clips import ClipStore
from vbench.video.errors import ToolMissingError
from vbench.video.ffmpeg.executable import (
    OVERRIDE,
    ffmpeg_path,
    ffmpeg_version,
    is_version_at_least,
    require_hwaccel,
)
from vbench.video.frames import decode_video


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_ffmpeg_of_the_package_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)

    assert "imageio_ffmpeg" in ffmpeg_path()
    assert is_version_at_least(ffmpeg_version(ffmpeg_path()), 5, 1)


def test_the_environment_names_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = script(tmp_path / "mine", "echo 'ffmpeg version 5.1.6-0+deb12u1 Copyright'")
    monkeypatch.setenv(OVERRIDE, str(other))

    assert ffmpeg_path() == str(other)
    assert ffmpeg_version(ffmpeg_path()) == "5.1.6-0+deb12u1"


@pytest.mark.parametrize("executable", [True, False])
def test_an_override_that_cannot_be_run_is_an_error_that_names_the_remedy(
    executable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ffmpeg"
    if not executable:
        path.write_text("not executable")
    monkeypatch.setenv(OVERRIDE, str(path))

    with pytest.raises(ToolMissingError, match=r"VBENCH_FFMPEG=.* is not an executable file: .*unset"):
        ffmpeg_path()


def test_decoding_without_ffmpeg_is_not_an_error_of_the_video(
    clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip("constant")
    monkeypatch.setenv(OVERRIDE, str(tmp_path / "missing"))

    with pytest.raises(ToolMissingError):
        list(decode_video(path, fps=Fraction(1), threads=1, timeout_s=60))


def test_without_any_ffmpeg_the_remedies_are_named(tmp_path: Path) -> None:
    bare = tmp_path / "imageio_ffmpeg"  # the package as it is where no binary exists for the platform
    bare.mkdir()
    for module in Path(imageio_ffmpeg.__file__).parent.glob("*.py"):
        shutil.copy(module, bare)
    (bare / "binaries").mkdir()
    (bare / "binaries" / "__init__.py").touch()
    environment = {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
    program = "from vbench.video.ffmpeg.executable import ffmpeg_path; ffmpeg_path()"

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    message = done.stderr.strip().splitlines()[-1]
    assert "ToolMissingError: FFmpeg was not found" in message
    assert "pip install" in message
    assert OVERRIDE in message


@pytest.mark.parametrize("body", ["echo 'gnu tool 1.0'", "exit 3", "kill -9 $$"])
def test_another_program_is_not_taken_for_ffmpeg(body: str, tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="name a working"):
        ffmpeg_version(str(script(tmp_path / "ffmpeg", body)))


@pytest.mark.parametrize(
    ("version", "newer"),
    [
        ("n9.0.2-17-g2a571b6068", True),
        ("7.1", True),
        ("7.0.2", False),
        ("5.1.6-0+deb12u1", False),
        ("N-1-g2", True),
    ],
)
def test_versions_are_ordered_and_snapshots_count_as_newest(version: str, newer: bool) -> None:
    assert is_version_at_least(version, 7, 1) is newer


@pytest.mark.parametrize("name", ["nonesuch", "amf"])
def test_hardware_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ToolMissingError, match=rf"cannot decode on '{name}' here \(.+\): use"):
        require_hwaccel(name)
