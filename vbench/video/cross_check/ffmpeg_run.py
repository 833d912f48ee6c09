"""Runs FFmpeg on a whole file with its default choices, and reads pictures with their PTS."""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition

from vbench.video.addresses import media_url
from vbench.video.cross_check.frame_times import FramePtsPipe
from vbench.video.errors import VideoError
from vbench.video.ffmpeg.executable import (
    CODECS,
    command_prefix,
    ffmpeg_path,
    ffmpeg_version,
    file_options,
    is_version_at_least,
    max_pixels,
    to_arguments,
)
from vbench.video.ffmpeg.filters import SCALE_FLAGS, YUV_OUT
from vbench.video.ffmpeg.process import FFmpegProcess
from vbench.video.remedies import reencode
from vbench.video.types import FrameGeometry

FilterOptions = tuple[str, dict[str, Any]]
"""A filter's name and options."""

_FACTS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """The first frame of a video as FFmpeg shows it."""

    time_base: Fraction
    """Seconds per tick of every pts."""
    pts: int
    width: int
    height: int
    """Of the picture, cropped and turned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One frame with its time."""

    pts: int
    pixels: npt.NDArray[np.uint8]


def only_video_stream(path: Path) -> int | None:
    """Number of the only stream that can be the video; None if there are several or none.

    Covers, thumbnails and streams of codecs that vbench does not decode cannot be. FFmpeg prefers a thumbnail
    to a larger video if it is flagged as default.

    Raises:
        VideoError: the file cannot be opened.
    """
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    with _opened(path) as file:
        numbers = [
            stream.index
            for stream in file.streams.video
            if not stream.disposition & covers
            and stream.codec_context is not None
            and stream.codec_context.codec.canonical_name in CODECS
        ]
    return numbers[0] if len(numbers) == 1 else None


def announced_pixels(path: Path) -> int:
    """Pixels of the largest picture that an AV1 stream of the file announces; 0 if there is none.

    Raises:
        VideoError: the file cannot be opened.
    """
    with _opened(path) as file:
        contexts = [stream.codec_context for stream in file.streams.video]
        sizes = [
            context.width * context.height
            for context in contexts
            if context is not None and context.codec.canonical_name == "av1"
        ]
    return max(sizes, default=0)


def _opened(path: Path) -> InputContainer:
    try:
        return av.open(media_url(path), container_options=file_options(), metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be opened as a video: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRun:
    """Runs FFmpeg over one file; each run ends at the first error."""

    path: Path
    """The video, for messages."""
    opened: Path
    """The file to open: the video or a copy of it."""
    geometry: FrameGeometry
    threads: int
    timeout_s: float
    stream: int | None = None
    """Number of the video stream in the file; None: FFmpeg chooses."""
    announced_pixels: int = 0
    """FFmpeg's AV1 decoder does not open unless ``max_pixels`` is at least this."""

    def first_frame(self, *, turned: bool = True) -> FirstFrame:
        """Facts about the first frame, rotated upright by FFmpeg if ``turned``; VideoError if there is
        none."""
        time_base = "demux" if is_version_at_least(ffmpeg_version(ffmpeg_path()), 6, 1) else "-1"
        output = ["-enc_time_base", time_base, "-f", "framehash", "-hash", "crc32"]
        before = [] if turned else ["-noautorotate"]
        text = self._output(before, ["-frames:v", "1", *output], _FACTS_BYTES).decode()
        base = re.search(r"^#tb 0: (\d+/\d+)$", text, re.MULTILINE)
        size = re.search(r"^#dimensions 0: (\d+)x(\d+)$", text, re.MULTILINE)
        frame = re.search(r"^0, *-?\d+, *(-?\d+),", text, re.MULTILINE)
        if base is None or size is None or frame is None:
            raise VideoError(f"{self.path} has no picture that FFmpeg outputs")
        return FirstFrame(
            time_base=Fraction(base[1]), pts=int(frame[1]), width=int(size[1]), height=int(size[2])
        )

    def upright_frame(self, *, channels: int) -> npt.NDArray[np.uint8]:
        """The first frame, rotated by FFmpeg itself and scaled to the size of the picture in the frames.

        uint8[inner_height, inner_width, channels]: 3 channels for rgb24, 1 for the luma of yuv420p.
        """
        width, height = self.geometry.inner_width, self.geometry.inner_height
        colors = YUV_OUT if channels == 1 else {}
        scale: FilterOptions = ("scale", {"w": width, "h": height, "flags": SCALE_FLAGS, **colors})
        filters = _text([scale, ("format", {"pix_fmts": self.geometry.pixel_format})])
        size = width * height * channels
        surplus = width * height // 2 if channels == 1 else 0  # the chroma
        data = self._output([], ["-frames:v", "1", "-vf", filters, "-f", "rawvideo"], size + surplus)
        if len(data) != size + surplus:
            raise VideoError(f"{self.path} has no picture that FFmpeg outputs")
        return np.frombuffer(data, np.uint8)[:size].reshape(height, width, channels)

    def pictures(
        self, choose: Iterable[FilterOptions], convert: Iterable[FilterOptions], *, all_times: bool = False
    ) -> Generator[tuple[Picture | None, list[int]]]:
        """The pictures that pass the filters ``choose``, converted by the filters ``convert``; FFmpeg rotates
        none.

        Yields:
            A picture and, with ``all_times``, the PTS of all frames that the decoder has output since the
            picture before, including this one. At the end None, and the remaining PTS.
        """
        with FramePtsPipe() as decoded, FramePtsPipe() as chosen:
            filters = [*(decoded.filters() if all_times else []), *choose, *chosen.filters(), *convert]
            output = ["-vf", _text(filters), "-f", "rawvideo", "-pix_fmt", self.geometry.pixel_format]
            command = self._command(["-noautorotate"], output)
            with self._process(command, (decoded.descriptor, chosen.descriptor)) as process:
                decoded.close_write_end()
                chosen.close_write_end()
                while True:
                    pixels = np.empty(self.geometry.frame_shape, np.uint8)
                    got = process.read_into(pixels.data.cast("B"))
                    if got < pixels.nbytes:
                        break
                    pts = self._time(chosen)
                    assert pts is not None
                    yield Picture(pts=pts, pixels=pixels), self._until(decoded, pts) if all_times else []
                process.finish()
                if got:
                    raise VideoError(f"{self.path} cannot be decoded: FFmpeg ended in the middle of a frame")
            yield None, self._until(decoded, None) if all_times else []

    def _until(self, times: FramePtsPipe, last: int | None) -> list[int]:
        """The PTS up to and including ``last``; None: all that are left."""
        until: list[int] = []
        while (pts := self._time(times)) is not None:
            until.append(pts)
            if pts == last:
                break
        return until

    def _time(self, times: FramePtsPipe) -> int | None:
        try:
            return times.next()
        except ValueError as error:
            raise VideoError(
                f"{self.path} has pictures without a PTS, also in FFmpeg; re-encode it: {reencode(self.path)}"
            ) from error

    def _output(self, before: Sequence[str], options: Sequence[str], most_bytes: int) -> bytes:
        """The output of a short run of FFmpeg."""
        data = bytearray(most_bytes)
        with self._process(self._command(before, options), ()) as process:
            length = process.read_into(memoryview(data))
            process.finish()
        return bytes(data[:length])

    def _command(self, before: Sequence[str], after: Sequence[str]) -> list[str]:
        pixels = max_pixels(self.geometry.source_width, self.geometry.source_height, self.announced_pixels)
        options = file_options() | {"threads": str(self.threads), "max_pixels": str(pixels)}
        mapped = [] if self.stream is None else ["-map", f"0:{self.stream}"]
        source = [*before, "-i", media_url(self.opened), *mapped, "-an", "-sn", "-dn"]
        prefix = command_prefix(self.threads)
        return [*prefix, *to_arguments(options), *source, "-fps_mode", "passthrough", *after, "pipe:1"]

    def _process(self, command: Sequence[str], descriptors: tuple[int, ...]) -> FFmpegProcess:
        pictures = 32 + 2 * self.threads  # at most 16 references, one per thread, some in the filters
        source = (self.geometry.source_width + 128) * (self.geometry.source_height + 128) * 8
        memory = pictures * (source + self.geometry.frame_bytes) + (256 << 20) * self.threads
        return FFmpegProcess(
            command,
            descriptors=descriptors,
            subject=str(self.path),
            timeout_s=self.timeout_s,
            threads=self.threads,
            memory_bytes=(3 << 30) + memory,
        )


def _text(filters: Iterable[FilterOptions]) -> str:
    """Filters in FFmpeg's syntax."""
    return ",".join(
        f"{name}=" + ":".join(f"{key}='{value}'" for key, value in options.items()) if options else name
        for name, options in filters
    )
