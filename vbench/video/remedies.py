"""The FFmpeg commands that error messages recommend; each can be pasted into a shell as it is."""

import shlex
from fractions import Fraction
from pathlib import Path

COPY_AGAIN = "copy it again from where it is whole"
"""For a file that has lost or changed bytes, which no command brings back."""

OUTPUT = "fixed.mp4"
"""The file that each command writes, in the folder where it is run."""


def reencode(path: str | Path, *, rate: Fraction | None = None, options: str = "") -> str:
    """Encodes what players show of a video as H.264.

    Args:
        path: the video.
        rate: frames per second to assume of the input, whatever its timestamps say. None: use its timestamps.
        options: further output options.
    """
    assumed = f"-r {rate} " if rate is not None else ""
    return f"ffmpeg {assumed}-i {_quoted(path)} {options + ' ' if options else ''}-c:v libx264 {OUTPUT}"


def reencode_at_constant_rate(path: str | Path) -> str:
    """Encodes a video with evenly spaced, strictly increasing timestamps."""
    return reencode(path, options="-fps_mode cfr")


def join_reencoded() -> str:
    """Joins two recordings, whose names the reader fills in, and encodes them as H.264."""
    return f"ffmpeg -i FIRST -i SECOND -filter_complex '[0:v:0][1:v:0]concat' -c:v libx264 {OUTPUT}"


def copy_video_alone(path: str | Path) -> str:
    """Copies the first video track without the others; encodes nothing."""
    return f"ffmpeg -i {_quoted(path)} -map 0:v:0 -c copy {OUTPUT}"


def _quoted(path: str | Path) -> str:
    return shlex.quote(str(path))
