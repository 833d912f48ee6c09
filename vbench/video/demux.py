"""Opens the one video stream of a file behind whitelists, and hands out its packets in decoding order."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.ffmpeg import CODECS, file_options
from vbench.video.source import media_url
from vbench.video.types import VideoLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVideo:
    """A file that is open for reading, and its video stream."""

    path: Path
    container: InputContainer
    stream: VideoStream
    codec: str
    """Name of the codec, whichever decoder reads it: ``h264``, ``hevc``, ``vp8``, ``vp9`` or ``av1``."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets that carry data.

        Raises:
            VideoError: the container is damaged or truncated, or the coding parameters change in mid-stream.
        """
        try:
            for packet in self.container.demux(self.stream):
                if packet.size == 0:
                    continue
                if packet.is_corrupt:
                    raise VideoError(f"{self.path} is damaged or truncated: a picture is incomplete")
                if packet.has_sidedata("new_extradata"):
                    raise VideoError(
                        f"{self.path} changes its coding parameters in mid-stream: encode it anew as one"
                    )
                yield packet
        except av.FFmpegError as error:
            raise VideoError(f"{self.path} is damaged or truncated: {error.strerror}") from error


@contextmanager
def open_video(path: Path, limits: VideoLimits) -> Iterator[OpenVideo]:
    """Open ``path`` and choose its first video stream that is not a cover picture.

    Raises:
        VideoError: it is no MP4/MOV, Matroska/WebM or MPEG-TS file, or has no video stream that can be read.
        VideoTooLargeError: its pictures have more pixels than ``limits`` allow.
    """
    options = file_options() | {"max_pixels": str(limits.max_pixels)}
    try:
        container = av.open(media_url(path), container_options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoError(
            f"{path} cannot be opened as a video ({error.strerror}): "
            "only MP4/MOV, Matroska/WebM and MPEG-TS files can be read"
        ) from error
    with container:
        stream = _video_stream(path, container)
        context = stream.codec_context
        codec = context.codec.canonical_name
        if codec not in CODECS:
            raise VideoError(f"{path} is coded as {codec}: only h264, hevc, vp8, vp9 and av1 can be read")
        if not context.width or not context.height or stream.time_base is None:
            raise VideoError(f"{path} has a {codec} stream without pictures: no picture size was found in it")
        pixels = context.width * context.height
        if pixels > limits.max_pixels:
            raise VideoTooLargeError(
                f"{path} has pictures of {context.width} x {context.height} pixels: "
                f"{limits.max_pixels} pixels are allowed"
            )
        yield OpenVideo(path=path, container=container, stream=stream, codec=codec)


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        raise VideoError(f"{path} has no video stream: it holds only sound, pictures or data")
    if streams[0].codec_context is None:
        raise VideoError(f"{path} has a video stream of an unknown codec: only h264, hevc, vp8, vp9 and av1")
    return streams[0]
