"""Finds FFmpeg, asks its version, and holds the options every run of it gets."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import lru_cache

import imageio_ffmpeg

from vbench.video.child_environment import child_environment
from vbench.video.containers.track_count import MOST_TRACKS
from vbench.video.errors import ToolMissingError
from vbench.video.types import VideoLimits

OVERRIDE = "VBENCH_FFMPEG"
"""Environment variable that names another FFmpeg than the one that comes with imageio-ffmpeg."""

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d")
"""Decoders that may run. FFmpeg has hundreds; each one more is one more to be attacked through."""

CONTAINERS = ("mov", "matroska", "mpegts")
"""Demuxers that may open a file. Playlists (ffconcat, HLS) read other files, so none is here."""


def file_options() -> dict[str, str]:
    """Options to open a file that nobody vouches for: FFmpeg's input options, PyAV's container options."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(CONTAINERS),
        "codec_whitelist": ",".join(CODECS),
        # One more than are accepted, so that one too many is seen.
        "max_streams": str(MOST_TRACKS + 1),
    }


def words(options: Mapping[str, str]) -> list[str]:
    """Options as FFmpeg's command line has them."""
    return [word for name, value in options.items() for word in (f"-{name}", value)]


def pipe_options() -> dict[str, str | None]:
    """FFmpeg's input options for a NUT payload on its standard input.

    ``nofind_stream_info``: by default FFmpeg decodes its first pictures once before, to find out what NUT's
    header says (size, how many pictures are decoded ahead) and what the decoder says by itself (the pixel
    format): 7 to 9% of what a chunk of 5 frames takes.
    """
    return {
        "nofind_stream_info": None,
        "protocol_whitelist": "pipe",
        "format_whitelist": "nut",
        "codec_whitelist": ",".join(CODECS),
    }


def max_pixels(width: int, height: int, announced_pixels: int = 0) -> int:
    """FFmpeg's ``max_pixels`` for a video of this size: a picture may not grow past it in mid-stream.

    Decoders work on whole blocks of at most 128 x 128, hence the margin.

    Args:
        width: of the decoded pictures.
        height: likewise.
        announced_pixels: of the largest picture that the stream's header allows, see ``VideoInfo``.
    """
    return max(VideoLimits().max_pixels, (width + 128) * (height + 128), announced_pixels)


def command_prefix(threads: int) -> list[str]:
    """FFmpeg's path and the global options of every run.

    ``-cpucount``: filters and scaler start a thread for each of as many CPUs as ``threads``, at least one; by
    default for each of the machine's, whatever share of it this process may use.
    ``-xerror``: damage ends the run; by default FFmpeg conceals it, leaves frames out and exits with 0.
    ``-copyts``: time stamps stay those of the file, so that frames can be chosen by them.

    Raises:
        ToolMissingError: there is no FFmpeg.
    """
    options = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-xerror", "-copyts"]
    return [ffmpeg_path(), *options, "-cpucount", str(max(1, threads))]


def ffmpeg_path() -> str:
    """Path of the FFmpeg to run.

    ``VBENCH_FFMPEG`` where it is set, else the one in the imageio-ffmpeg package, else ``ffmpeg`` on PATH.

    Raises:
        ToolMissingError: none was found, or the one that ``VBENCH_FFMPEG`` names cannot be run.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        found = shutil.which(override)
        if found is None:
            raise ToolMissingError(
                f"{OVERRIDE}={override} is not an executable file: name an FFmpeg that can be run, "
                f"or unset {OVERRIDE} to use the one that comes with imageio-ffmpeg"
            )
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        found = shutil.which("ffmpeg")
        if found is None:
            raise ToolMissingError(
                "FFmpeg was not found: reinstall it with 'pip install --force-reinstall imageio-ffmpeg', "
                f"install ffmpeg on PATH, or name one in {OVERRIDE}"
            ) from error
        return found


@lru_cache(maxsize=8)
def ffmpeg_version(path: str) -> str:
    """Version of the FFmpeg at ``path`` as it calls itself, e.g. ``n9.0.2-17-g2a571b6068-20260930``.

    Raises:
        ToolMissingError: it does not run, or is no FFmpeg.
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


def is_at_least(version: str, major: int, minor: int = 0) -> bool:
    """Whether FFmpeg's version is at least ``major.minor``; builds from a git snapshot count as newest."""
    match = re.match(r"n?(\d+)\.(\d+)", version)
    return match is None or (int(match[1]), int(match[2])) >= (major, minor)


def require_hwaccel(name: str) -> None:
    """Open the hardware that ``-hwaccel name`` decodes on.

    Raises:
        ToolMissingError: FFmpeg does not know it, or the machine does not have it.
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
            f"FFmpeg cannot decode on {name!r} here ({reason}): take what 'ffmpeg -hwaccels' names and this "
            "machine has, or hwaccel=null"
        )
