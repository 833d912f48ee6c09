"""What passes between the parts that read video: facts about a video, chunks of it, frames, geometry."""

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
    """Facts about the one video stream of a file, on the video's own timeline."""

    path: str
    container: str
    """FFmpeg's demuxer name, e.g. ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    pixel_format: str
    coded_width: int
    """Pixels of a picture before it is turned, without what the stream and its container crop."""
    coded_height: int
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Pixels that the container cuts off at the left, top, right and bottom of what a decoder gives."""
    rotation: int
    """Degrees clockwise that make the coded picture upright: 0, 90, 180 or 270."""
    flipped: bool = False
    """Whether the coded picture is turned upside down before it is rotated (mirrored videos)."""
    color_matrix: str = "auto"
    """YCbCr matrix as FFmpeg's scale filter names it; ``auto`` where the stream says none."""
    color_range: str = "auto"
    """``tv``, ``pc``, or ``auto`` where the stream says none."""
    time_base: Fraction
    """Seconds a tick of every pts below."""
    first_pts: int
    """The first presented frame's pts; the video's timeline starts here."""
    end_pts: int
    """The last presented frame's pts plus its duration."""
    frames: int
    """Presented frames in the file."""
    size_bytes: int
    announced_pixels: int = 0
    """Pixels of the largest picture that an AV1 stream's headers allow; its pictures may all be smaller.
    FFmpeg's AV1 decoder does not open unless its ``max_pixels`` is as large."""

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
        """Width in pixels of what a decoder gives."""
        return self.crop[0] + self.coded_width + self.crop[2]

    @property
    def decoded_height(self) -> int:
        """Height in pixels of what a decoder gives."""
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
    """How the upright picture lies in the frame that the decoder hands out.

    The picture is scaled to ``inner_width`` x ``inner_height`` and put at (``pad_x``, ``pad_y``) in a
    frame of ``width`` x ``height``; what it does not cover is grey (114, 114, 114). In yuv420p all of these
    are even.
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
        """Frames as large as the upright picture, unscaled; VideoError as ``fitted``."""
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

        VideoError where the pixel format cannot have this size.
        """
        step = 2 if pixel_format == "yuv420p" else 1
        if width % step or height % step:
            raise VideoError(
                f"frames of {width} x {height} cannot be {pixel_format}, whose width and height are even: "
                "take pixel_format=rgb24, or frame_size=model"
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
        """Of the bytes of one frame: (H, W, 3) in rgb24; (3 H / 2, W) in yuv420p, whose rows are those of Y,
        then all of U, then all of V, packed."""
        if self.pixel_format == "rgb24":
            return (self.height, self.width, 3)
        return (self.height * 3 // 2, self.width)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return prod(self.frame_shape)

    def to_source(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes float32[D, 4] (x1, y1, x2, y2) in frame pixels -> pixels of the upright picture, clipped."""
        x = (boxes[:, 0::2] - self.pad_x) * np.float32(self.source_width / self.inner_width)
        y = (boxes[:, 1::2] - self.pad_y) * np.float32(self.source_height / self.inner_height)
        out = np.empty_like(boxes)
        out[:, 0::2] = np.clip(x, 0, self.source_width)
        out[:, 1::2] = np.clip(y, 0, self.source_height)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A span of presentation time of a video, with the packets it takes to decode it, re-muxed as NUT."""

    info: VideoInfo
    index: int
    start_s: float
    """The span owned is [start_s, end_s), in seconds from the video's first frame."""
    end_s: float
    targets: npt.NDArray[np.int64]
    """int64[K]: pts (video's timeline and time base) of the frames to hand out, rising; K may be 0."""
    payload: npt.NDArray[np.uint8]
    """uint8[B]: the NUT file; an array, since arrays cross Ray without a copy. Empty where K is 0."""
    pts_shift: int
    """Ticks added to every time stamp in the payload (NUT refuses negative ones)."""
    packets: int
    """Packets in the payload, those before the span included."""
    payload_pts: npt.NDArray[np.int64] | None = None
    """int64[K], rising: the targets' pts in the payload, if they are others than ``targets + pts_shift``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Decoded frames of one chunk, or of a whole video."""

    pts: npt.NDArray[np.int64]
    """int64[K], on the video's timeline, rising."""
    pixels: npt.NDArray[np.uint8]
    """uint8[K, *frame_shape] as ``geometry`` says, C-contiguous, upright."""
    geometry: FrameGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What is refused from the index alone, before anything is decoded."""

    max_duration_s: float = 6 * 3600.0
    max_packets: int = 4_000_000
    max_pixels: int = 33_177_600
    """Pixels of one picture: 8K UHD (7680 x 4320)."""
    max_size_bytes: int = 64 * 2**30
    max_fetched_bytes: int = 2 * 2**30
    """Of a video that does not lie on this machine: it is copied to the temporary disk."""
    max_disk_share: float = 0.5
    """Of what is free on that disk beyond a reserve, see ``disk_room``: all copies of a process together."""
    max_read_s: float = 60.0
    """CPU time that a reader process may take for the index, and again for all chunks together, to which it
    adds a second for each 50 MB of the file."""
    max_stall_s: float = 15.0
    """CPU time that it may take for the index before the first packet, and for each 10,000 packets. Three
    times what a Matroska file of 6 h at 60 frames/s took before the first; 10,000 packets took 0.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthBox:
    """One object in one frame of a synthetic scene."""

    class_name: str
    box: Sequence[float]
    """(x1, y1, x2, y2) in pixels of the upright picture, clipped to it, around what is visible."""
    visible: float
    """Visible share of the object's own area, 0 to 1: the rest is hidden or outside the picture."""
