"""Chooses the video stream of a file as FFmpeg does when nobody names one."""

from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vbench.video.errors import VideoError
from vbench.video.ffmpeg import CODECS

_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_STILLS = {"apng", "bmp", "gif", "jpeg2000", "jpegls", "mjpeg", "png", "ppm", "tiff", "webp"}
"""Codecs of single pictures: cameras and editors store thumbnails as video streams of these."""

_DEFAULT_BONUS = 5_000_000
"""Pixels that the ``default`` disposition is worth, see ``map_auto_video`` in FFmpeg's ffmpeg_mux_init.c."""

_SUPPORTED = "only h264, hevc, vp8, vp9 and av1 can be read"


def choose_stream(path: Path, container: InputContainer) -> VideoStream:
    """The stream that ``ffmpeg -i path`` would decode, thumbnails left aside.

    The largest picture wins, unless another stream is marked as the default; of equals, the first. A stream
    that vbench cannot read matters only if it is the one that wins.

    Raises:
        VideoError: there is no video stream, or the one that wins is of a codec that cannot be read.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVERS]
    videos = [stream for stream in streams if _codec(stream) not in _STILLS]
    if not streams:
        raise VideoError(f"{path} has no video stream: it holds only sound, pictures or data")
    best = max(videos or streams, key=_score)
    codec = _codec(best)
    if codec is None:
        raise VideoError(f"{path} has a video stream of an unknown codec: {_SUPPORTED}")
    if codec not in CODECS:
        raise VideoError(f"{path} is coded as {codec}: {_SUPPORTED}")
    return best


def _codec(stream: VideoStream) -> str | None:
    """The codec's name, whichever decoder reads it; None if libavcodec does not know it."""
    context = stream.codec_context
    return None if context is None else context.codec.canonical_name


def _score(stream: VideoStream) -> int:
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    return pixels + _DEFAULT_BONUS * bool(stream.disposition & Disposition.default)
