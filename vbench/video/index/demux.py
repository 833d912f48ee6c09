"""Opens the video stream of a file behind allow-lists, and yields its packets in decoding order."""

from __future__ import annotations  # PyAV's Packet is generic in its type hints only

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vbench.video.addresses import media_url
from vbench.video.codecs.av1_obu import announced_pixels
from vbench.video.containers.byte_file import open_bytes
from vbench.video.containers.track_count import MAX_TRACKS, check_track_count, too_many_tracks
from vbench.video.containers.transport_stream import has_joins
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.ffmpeg.executable import file_options
from vbench.video.index.stream_choice import choose_stream
from vbench.video.remedies import COPY_AGAIN, reencode
from vbench.video.types import VideoLimits

_GENERATE_PTS = 1
"""AVFMT_FLAG_GENPTS of libavformat/avformat.h; PyAV's enumeration has no matching type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVideo:
    """An open file and its video stream."""

    path: Path
    container: InputContainer
    stream: VideoStream
    codec: str
    """Name of the codec, whichever decoder is used: ``h264``, ``hevc``, ``vp8``, ``vp9`` or ``av1``."""
    announced_pixels: int
    """See ``VideoInfo``."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets that contain data.

        Raises:
            VideoError: the container is damaged or truncated.
        """
        joined = False
        try:
            for packet in self.container.demux(self.stream):
                if packet.size == 0:
                    continue
                joined = joined or (packet.is_corrupt and self._has_joins())
                if packet.is_corrupt and not joined:
                    raise VideoError(
                        f"{self.path} is damaged or truncated: a picture is incomplete; {COPY_AGAIN}"
                    )
                yield packet
        except av.FFmpegError as error:
            raise VideoError(
                f"{self.path} is damaged or truncated: {error.strerror}; {COPY_AGAIN}"
            ) from error

    def _has_joins(self) -> bool:
        """Whether libavformat flags pictures as corrupt only because segments were joined before them."""
        if self.container.format.name != "mpegts":
            return False
        with open_bytes(self.path) as file:
            return has_joins(file, self.stream.id)


@contextmanager
def open_video(path: Path, limits: VideoLimits) -> Iterator[OpenVideo]:
    """Open ``path``, choose its video stream as FFmpeg does, and set up its decoder.

    Raises:
        VideoError: it is not an MP4/MOV, Matroska/WebM or MPEG-TS file, or has no readable video stream.
        VideoTooLargeError: its pictures have more pixels than ``limits`` allow (AV1's are checked later,
            since they may be smaller than announced), or it has too many tracks.
    """
    check_track_count(path)
    options = file_options() | {"max_pixels": str(limits.max_pixels)}
    try:
        container = av.open(media_url(path), container_options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:  # also libavformat's error for more than max_streams
            too_many = f"more than {MAX_TRACKS} tracks, or a header that is too large for a reader's memory"
            raise too_many_tracks(path, too_many) from error
        raise VideoError(
            f"{path} cannot be opened as a video ({error.strerror}): "
            "only MP4/MOV, Matroska/WebM and MPEG-TS files can be read; if players show it, re-encode it: "
            f"{reencode(path)}"
        ) from error
    with container:
        # PyAV makes up missing PTS: wrong ones if pictures are reordered.
        container.flags &= ~_GENERATE_PTS
        if len(container.streams) > MAX_TRACKS:
            raise too_many_tracks(path, f"more than {MAX_TRACKS} tracks")
        stream = choose_stream(path, container)
        context = stream.codec_context
        codec = context.codec.canonical_name
        if not context.width or not context.height or stream.time_base is None:
            raise VideoError(f"{path} has a {codec} stream without pictures: it contains no picture size")
        announced, pixels = 0, context.width * context.height
        if codec == "av1":
            announced = max(announced_pixels(context.extradata), pixels)
        elif pixels > limits.max_pixels:
            raise VideoTooLargeError(
                f"{path} has pictures of {context.width} x {context.height} pixels: "
                f"{limits.max_pixels} pixels are allowed; scale it down"
            )
        # For callers that decode: one thread, and no memory for pictures that grow later.
        context.thread_count = 1
        # Without it, PyAV's decoder crops less than FFmpeg does, to keep rows aligned in memory.
        context.flags |= Flags.unaligned
        context.options = {"max_pixels": str(max(limits.max_pixels, announced))}
        yield OpenVideo(
            path=path, container=container, stream=stream, codec=codec, announced_pixels=announced
        )
