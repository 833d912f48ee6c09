"""The FFmpeg command in an error message, pasted into a shell, makes a video that can be read."""

import os
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import run_ffmpeg, source
from tests.video.support.vfw import as_vfw
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import ffmpeg_path
from vbench.video.probe import probe
from vbench.video.remedies import OUTPUT
from vbench.video.split import Splitter


def split(path: Path) -> None:
    with Splitter(path, fps=Fraction(1000), chunk_s=Fraction(1)) as splitter:
        assert sum(len(chunk.sampled_pts) for chunk in splitter) > 1


def same_timestamp(folder: Path) -> Path:
    path = folder / "it's twice.mkv"
    run_ffmpeg(*source(1).split(), "-vf", "setpts=if(eq(N\\,5)\\,4\\,N)/30/TB", "-fps_mode", "passthrough",
               "-enc_time_base", "1/1000", "-c:v", "libvpx", "-lag-in-frames", "0", str(path))  # fmt: skip
    return path


def without_pts(folder: Path) -> Path:
    coded = folder / "coded.mkv"
    run_ffmpeg(*source(1).split(), "-c:v", "libx264", "-bf", "2", str(coded))
    return as_vfw(coded, folder / "no pts.mkv")


def starts_within_intra_refresh(folder: Path) -> Path:
    whole, path = folder / "refresh.ts", folder / "cut.ts"
    run_ffmpeg(*source(3).split(), "-c:v", "libx264", "-x264-params", "intra-refresh=1:keyint=30", str(whole))
    run_ffmpeg("-ss", "1.5", "-i", str(whole), "-c", "copy", str(path))
    return path


def changes_its_size(folder: Path) -> Path:
    path = folder / "turn.ts"
    parts = [folder / "wide.ts", folder / "tall.ts"]
    for part, size in zip(parts, ("96x64", "64x96"), strict=True):
        lavfi = f"testsrc2=size={size}:rate=30:duration=1"
        run_ffmpeg("-f", "lavfi", "-i", lavfi, "-c:v", "libx264", "-output_ts_offset", str(parts.index(part)),
                   str(part))  # fmt: skip
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def many_tracks(folder: Path) -> Path:
    track, path = folder / "track.mp4", folder / "many.mp4"
    run_ffmpeg(*source(1).split(), "-c:v", "libx264", str(track))
    run_ffmpeg("-i", str(track), *["-map", "0:v"] * 101, "-c", "copy", str(path))
    return path


def lost_parameter_sets(folder: Path) -> Path:
    path, listed = folder / "joined.mp4", folder / "list.txt"
    for name, pixels in (("FIRST", "yuv444p"), ("SECOND", "yuv420p")):
        coder = f"-c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt {pixels} -f matroska"
        run_ffmpeg(*source(1).split(), *coder.split(), str(folder / name))
    listed.write_text("file FIRST\nfile SECOND\n")
    run_ffmpeg("-f", "concat", "-i", str(listed), "-c", "copy", str(path))
    return path


def coded_as_mpeg4(folder: Path) -> Path:
    path = folder / "old.mp4"
    run_ffmpeg(*source(1).split(), "-c:v", "mpeg4", str(path))
    return path


def in_another_container(folder: Path) -> Path:
    path = folder / "old one.avi"
    run_ffmpeg(*source(1).split(), "-c:v", "libx264", str(path))
    return path


REFUSED: list[Callable[[Path], Path]] = [
    same_timestamp,
    without_pts,
    starts_within_intra_refresh,
    changes_its_size,
    many_tracks,
    lost_parameter_sets,
    coded_as_mpeg4,
    in_another_container,
]


@pytest.mark.parametrize("make", REFUSED)
def test_the_command_works_when_pasted(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(VideoError) as refused:
        split(path)

    (command,) = re.findall(rf": (ffmpeg .* {OUTPUT})$", str(refused.value))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(ffmpeg_path())
    subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )

    assert probe(tmp_path / OUTPUT).frames > 1
    split(tmp_path / OUTPUT)
