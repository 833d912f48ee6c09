"""Finds FFmpeg and its version, and defines the options of every run."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import lru_cache

import imageio_ffmpeg

from vbench.video.child_environment import child_environment
from vbench.video.containers.track_count import MAX_TRACKS
from vbench.video.errors import ToolMissingError
from vbench.video.types import VideoLimits

OVERRIDE = "VBENCH_FFMPEG"
"""Environment variable that names another FFmpeg than the one in imageio-ffmpeg."""

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d")
"""Decoders that may run. FFmpeg has hundreds, and each one more is an attack surface."""

CONTAINERS = ("mov", "matroska", "mpegts")
"""Demuxers that may open a file. Playlists (ffconcat, HLS) open other files, so none is included."""


def file_options() -> dict[str, str]:
    """Options to open an untrusted file: FFmpeg's input options, PyAV's container options."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(CONTAINERS),
        "codec_whitelist": ",".join(CODECS),
        # One more than accepted, so that one too many is noticed.
        "max_streams": str(MAX_TRACKS + 1),
    }


def to_arguments(options: Mapping[str, str]) -> list[str]:
    """Options as arguments of FFmpeg's command line."""
    return [word for name, value in options.items() for word in (f"-{name}", value)]


def pipe_options() -> dict[str, str | None]:
    """FFmpeg's input options for a NUT payload on its standard input.

    ``nofind_stream_info``: by default, FFmpeg first decodes a few pictures to find out what NUT's header
    states (size, reorder depth) and what the decoder reports anyway (pixel format). That is 7 to 9% of the
    time of a chunk of 5 frames.
    """
    return {
        "nofind_stream_info": None,
        "protocol_whitelist": "pipe",
        "format_whitelist": "nut",
        "codec_whitelist": ",".join(CODECS),
    }


def max_pixels(width: int, height: int, announced_pixels: int = 0) -> int:
    """FFmpeg's ``max_pixels`` for a video: no later picture may be larger.

    Decoders work on whole blocks of at most 128 x 128 pixels, hence the margin.

    Args:
        width: of the decoded pictures, in pixels.
        height: likewise.
        announced_pixels: see ``VideoInfo``.
    """
    return max(VideoLimits().max_pixels, (width + 128) * (height + 128), announced_pixels)


def command_prefix(threads: int) -> list[str]:
    """FFmpeg's path and the global options of every run.

    ``-cpucount``: filters and scaler start ``threads`` threads, at least one; by default, one per CPU of the
    machine, whatever share of it this process may use.
    ``-xerror``: damage ends the run; by default, FFmpeg conceals it, drops frames and exits with 0.
    ``-copyts``: timestamps stay those of the file, so that frames can be selected by them.

    Raises:
        ToolMissingError: there is no FFmpeg.
    """
    options = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-xerror", "-copyts"]
    return [ffmpeg_path(), *options, "-cpucount", str(max(1, threads))]


def ffmpeg_path() -> str:
    """Path of the FFmpeg to run.

    ``VBENCH_FFMPEG`` if it is set, else the one in the imageio-ffmpeg package, else ``ffmpeg`` on PATH.

    Raises:
        ToolMissingError: there is none, or the one that ``VBENCH_FFMPEG`` names cannot be run.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        path = shutil.which(override)
        if path is None:
            raise ToolMissingError(
                f"{OVERRIDE}={override} is not an executable file: name an FFmpeg that can be run, "
                f"or unset {OVERRIDE} to use the one that comes with imageio-ffmpeg"
            )
        return path
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        path = shutil.which("ffmpeg")
        if path is None:
            raise ToolMissingError(
                "FFmpeg was not found: reinstall it with 'pip install --force-reinstall imageio-ffmpeg', "
                f"install ffmpeg on PATH, or name one in {OVERRIDE}"
            ) from error
        return path


@lru_cache(maxsize=8)
def ffmpeg_version(path: str) -> str:
    """Version that the FFmpeg at ``path`` reports, e.g. ``n9.0.2-17-g2a571b6068-20260930``.

    Raises:
        ToolMissingError: it does not run, or is not FFmpeg.
    """
    try:
        done = subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=child_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissingError(
            f"{path} does not run ({error}): name a working FFmpeg in {OVERRIDE}"
        ) from error
    match = re.match(r"ffmpeg version (\S+)", done.stdout)
    if match is None:
        raise ToolMissingError(f"{path} is not FFmpeg: name a working one in {OVERRIDE}")
    return match[1]


def is_version_at_least(version: str, major: int, minor: int = 0) -> bool:
    """Whether FFmpeg's version is at least ``major.minor``; builds from git snapshots count as newest."""
    match = re.match(r"n?(\d+)\.(\d+)", version)
    return match is None or (int(match[1]), int(match[2])) >= (major, minor)


def require_hwaccel(name: str) -> None:
    """Check that FFmpeg can open the hardware for ``-hwaccel name``.

    Raises:
        ToolMissingError: FFmpeg does not support it, or the machine does not have it.
    """
    source = ["-f", "lavfi", "-i", "color=duration=0.04", "-frames:v", "1", "-f", "null", "-"]
    done = subprocess.run(
        [*command_prefix(1), "-init_hw_device", name, *source],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        reason = re.sub(r"^(\[[^\]]*\]\s*)+", "", (done.stderr.strip() or "no reason given").splitlines()[0])
        raise ToolMissingError(
            f"FFmpeg cannot decode on {name!r} here ({reason}): use one that 'ffmpeg -hwaccels' lists and "
            "this machine has, or hwaccel=null"
        )
