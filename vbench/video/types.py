"""The data types of video reading: facts about a video, its chunks and frames, geometry, limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.pixel_format import PixelFormat

Fit = Literal["letterbox", "stretch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Facts about the video stream of a file, on the video's own timeline."""

    path: str
    container: str
    """FFmpeg's demuxer name, e.g. ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    pixel_format: str
    coded_width: int
    """Width in pixels before rotation, without what the stream and its container crop."""
    coded_height: int
    """Height in pixels, likewise."""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Pixels that the container crops at the left, top, right and bottom of the decoder's output."""
    rotation: int
    """Degrees clockwise that make the coded picture upright: 0, 90, 180 or 270."""
    flipped: bool = False
    """Whether the coded picture is flipped vertically before it is rotated (mirrored videos)."""
    color_matrix: str = "auto"
    """YCbCr matrix, named as in FFmpeg's scale filter; ``auto`` if the stream states none."""
    color_range: str = "auto"
    """``tv`` (limited), ``pc`` (full), or ``auto`` if the stream states none."""
    time_base: Fraction
    """Seconds per tick of every PTS below."""
    first_pts: int
    """PTS of the first presented frame; the video's timeline starts here."""
    end_pts: int
    """PTS of the last presented frame plus its duration."""
    frames: int
    """Number of presented frames."""
    size_bytes: int
    """Size of the file."""
    announced_pixels: int = 0
    """Pixels of the largest picture that an AV1 stream's headers announce; its pictures may all be smaller.
    FFmpeg's AV1 decoder does not open unless its ``max_pixels`` is at least this."""

    @property
    def width(self) -> int:
        """Width in pixels of the upright picture."""
        return self.coded_height if self.rotation % 180 else self.coded_width

    @property
    def height(self) -> int:
        """Height in pixels of the upright picture."""
        return self.coded_width if self.rotation % 180 else self.coded_height

    @property
    def decoded_width(self) -> int:
        """Width in pixels of the decoder's output."""
        return self.crop[0] + self.coded_width + self.crop[2]

    @property
    def decoded_height(self) -> int:
        """Height in pixels of the decoder's output."""
        return self.crop[1] + self.coded_height + self.crop[3]

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float((self.end_pts - self.first_pts) * self.time_base)

    def time_s(self, pts: int) -> float:
        """Seconds from the first frame to ``pts``."""
        return float((pts - self.first_pts) * self.time_base)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGeometry:
    """Size of the frames that are output, and size and position of the upright picture in them.

    The picture is scaled to ``inner_width`` x ``inner_height`` and placed at (``pad_x``, ``pad_y``) in a
    frame of ``width`` x ``height``; the rest is grey (114, 114, 114). In yuv420p all of these are even. All
    in pixels.
    """

    source_width: int
    source_height: int
    width: int
    height: int
    inner_width: int
    inner_height: int
    pad_x: int
    pad_y: int
    pixel_format: PixelFormat = "rgb24"

    @classmethod
    def native(cls, info: VideoInfo, pixel_format: PixelFormat = "rgb24") -> "FrameGeometry":
        """Frames as large as the upright picture, unscaled; raises VideoError as ``fitted`` does."""
        return cls.fitted(info.width, info.height, info.width, info.height, "stretch", pixel_format)

    @classmethod
    def fitted(
        cls,
        source_width: int,
        source_height: int,
        width: int,
        height: int,
        fit: Fit,
        pixel_format: PixelFormat = "rgb24",
    ) -> "FrameGeometry":
        """Frames of ``width`` x ``height``; ``letterbox`` keeps the aspect ratio, ``stretch`` does not.

        Raises:
            VideoError: the pixel format cannot have this size.
        """
        step = 2 if pixel_format == "yuv420p" else 1
        if width % step or height % step:
            raise VideoError(
                f"frames of {width} x {height} pixels cannot be {pixel_format}, which needs an even width "
                "and height: use pixel_format=rgb24, or frame_size=model"
            )
        inner_width, inner_height = width, height
        if fit == "letterbox":
            scale = min(Fraction(width, source_width), Fraction(height, source_height))
            inner_width = max(step, min(width, step * round(source_width * scale / step)))
            inner_height = max(step, min(height, step * round(source_height * scale / step)))
        return cls(
            source_width=source_width,
            source_height=source_height,
            width=width,
            height=height,
            inner_width=inner_width,
            inner_height=inner_height,
            pad_x=(width - inner_width) // 2 // step * step,
            pad_y=(height - inner_height) // 2 // step * step,
            pixel_format=pixel_format,
        )

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame's bytes: (H, W, 3) in rgb24; (3 H / 2, W) in yuv420p, with the rows of Y, then
        all of U, then all of V, packed."""
        if self.pixel_format == "rgb24":
            return (self.height, self.width, 3)
        return (self.height * 3 // 2, self.width)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return prod(self.frame_shape)

    def to_source(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Convert boxes from frame pixels to pixels of the upright picture, and clip them to it.

        Args:
            boxes: float32[D, 4] (x1, y1, x2, y2) in frame pixels.

        Returns:
            float32[D, 4].
        """
        x = (boxes[:, 0::2] - self.pad_x) * np.float32(self.source_width / self.inner_width)
        y = (boxes[:, 1::2] - self.pad_y) * np.float32(self.source_height / self.inner_height)
        out = np.empty_like(boxes)
        out[:, 0::2] = np.clip(x, 0, self.source_width)
        out[:, 1::2] = np.clip(y, 0, self.source_height)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A span of a video's presentation time, with the packets that it takes to decode it, re-muxed as NUT."""

    info: VideoInfo
    index: int
    start_s: float
    """The chunk owns [start_s, end_s), in seconds from the video's first frame."""
    end_s: float
    sampled_pts: npt.NDArray[np.int64]
    """int64[K], increasing: PTS, in the video's time base, of the frames to output; K may be 0."""
    payload: npt.NDArray[np.uint8]
    """uint8[B]: the NUT file; an array, since Ray passes arrays without a copy. Empty if K is 0."""
    pts_shift: int
    """Ticks added to every timestamp in the payload (NUT refuses negative ones)."""
    packets: int
    """Number of packets in the payload, including those before the span."""
    payload_pts: npt.NDArray[np.int64] | None = None
    """int64[K], increasing: PTS of the sampled frames in the payload, unless it is
    ``sampled_pts + pts_shift``."""

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """``sampled_pts`` under its former name, which scripts use."""
        return self.sampled_pts


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Decoded frames of one chunk, or of a whole video."""

    pts: npt.NDArray[np.int64]
    """int64[K], increasing: PTS in the video's time base."""
    pixels: npt.NDArray[np.uint8]
    """uint8[K, *geometry.frame_shape], C-contiguous, upright."""
    geometry: FrameGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """Limits that are checked against the index, before anything is decoded."""

    max_duration_s: float = 6 * 3600.0
    max_packets: int = 4_000_000
    max_pixels: int = 33_177_600
    """Pixels per picture: 8K UHD (7680 x 4320)."""
    max_size_bytes: int = 64 * 2**30
    max_fetched_bytes: int = 2 * 2**30
    """Bytes of a remote video, which is copied to the temporary disk."""
    max_disk_share: float = 0.5
    """Share of what is free on that disk beyond a reserve, for all copies of a process; see ``disk_room``."""
    max_read_s: float = 60.0
    """CPU seconds of a reader process for the index, and again for all chunks together, plus one second per
    50 MB of the file."""
    max_stall_s: float = 15.0
    """CPU seconds of a reader process before the first packet, and for each 10,000 packets. Three times what
    a Matroska file of 6 h at 60 frames/s took before the first packet; 10,000 packets took 0.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthBox:
    """One object in one frame of a synthetic scene."""

    class_name: str
    box: Sequence[float]
    """(x1, y1, x2, y2) in pixels of the upright picture, around the visible part."""
    visible: float
    """Visible share of the object's area, 0 to 1; the rest is hidden or outside the picture."""
