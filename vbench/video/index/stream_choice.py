"""Chooses the same video stream of a file as FFmpeg does by default."""

import re
import subprocess
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vbench.video.addresses import media_url
from vbench.video.child_environment import child_environment
from vbench.video.errors import ToolMissingError, VideoError
from vbench.video.ffmpeg.executable import CODECS, ffmpeg_path, file_options, to_arguments
from vbench.video.remedies import reencode

_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_STILLS = {"apng", "bmp", "gif", "jpeg2000", "jpegls", "mjpeg", "png", "ppm", "tiff", "webp"}
"""Codecs of still pictures, in which cameras and editors store thumbnails as video streams."""

_DEFAULT_BONUS = 5_000_000
"""Pixels that the ``default`` disposition counts as, see ``map_auto_video`` in FFmpeg's ffmpeg_mux_init.c."""

_TIMEOUT_S = 30.0
"""For FFmpeg to choose a stream, for which it reads the beginning of the file."""

_SUPPORTED = "only h264, hevc, vp8, vp9 and av1 can be read"


def choose_stream(path: Path, container: InputContainer) -> VideoStream:
    """The stream that ``ffmpeg -i path`` would decode, ignoring thumbnails.

    FFmpeg itself chooses among several: it prefers streams that have packets where it probes the file. If it
    cannot be run, the largest picture wins, unless another stream is flagged as default; among equals, the
    first. A stream that vbench cannot read matters only if it wins.

    Raises:
        VideoError: there is no video stream, or the one that wins is of a codec that cannot be read.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVERS]
    videos = [stream for stream in streams if _codec(stream) not in _STILLS]
    if not streams:
        raise VideoError(f"{path} has no video stream: it contains only sound, pictures or data")
    best = max(videos or streams, key=_score)
    if len(videos) > 1:
        number = _chosen_by_ffmpeg(path)
        best = next((stream for stream in videos if stream.index == number), best)
    codec = _codec(best)
    if codec is None:
        raise VideoError(f"{path} has a video stream of an unknown codec: {_SUPPORTED}; export it as H.264")
    if codec not in CODECS:
        raise VideoError(f"{path} is coded as {codec}: {_SUPPORTED}; re-encode it: {reencode(path)}")
    return best


def _chosen_by_ffmpeg(path: Path) -> int | None:
    """The number of the video stream that FFmpeg chooses; None if it does not say."""
    source = [*to_arguments(file_options()), "-threads", "1", "-i", media_url(path), "-an", "-sn", "-dn"]
    # At level "info", FFmpeg prints the line that is parsed below.
    prefix = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "info", "-cpucount", "1"]
    try:
        command = [ffmpeg_path(), *prefix, *source, "-codec", "copy", "-frames:v", "1", "-f", "null", "-"]
        messages = subprocess.run(
            command,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        ).stderr
    except (ToolMissingError, OSError, subprocess.TimeoutExpired):
        return None
    mapped = re.findall(rb"^  Stream #0:(\d+) -> #0:0 ", messages, re.MULTILINE)
    return int(mapped[-1]) if mapped else None


def _codec(stream: VideoStream) -> str | None:
    """The codec's name, whichever decoder is used; None if libavcodec does not know it."""
    context = stream.codec_context
    return None if context is None else context.codec.canonical_name


def _score(stream: VideoStream) -> int:
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    return pixels + _DEFAULT_BONUS * bool(stream.disposition & Disposition.default)
