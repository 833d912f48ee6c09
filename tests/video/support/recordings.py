"""Clips of 24 pictures in each codec, by size and further options of FFmpeg, each made once."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.video.support.clips import run_ffmpeg, source

ENCODERS = {
    "h264": ("mp4", "-c:v libx264 -preset ultrafast -threads 1 -bf 0 -g 12"),
    "hevc": (
        "mp4",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1:keyint=12:bframes=0",
    ),
    "vp8": ("webm", "-c:v libvpx -deadline realtime -cpu-used -8 -g 12"),
    "vp9": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12"),
    "av1": ("mkv", "-c:v libsvtav1 -preset 12 -g 12"),
}
Recording = Callable[..., Path]
"""Path of a clip, by codec, size and options."""


def recordings_in(folder: Path) -> Recording:
    """Gives the path of a clip in ``folder``."""

    def make(codec: str, size: str = "96x64", options: str = "") -> Path:
        suffix, encoder = ENCODERS[codec]
        path = folder / (re.sub(r"\W+", "_", f"{codec}_{size}_{options}") + f".{suffix}")
        if not path.exists():
            run_ffmpeg(*f"{source(1, '24', size)} {encoder} {options}".split(), str(path))
        return path

    return make
