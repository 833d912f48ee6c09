"""Luma of frames and of decoded pictures in plain numpy, scaled like FFmpeg's bicubic scaler.

Uses no filter of FFmpeg, so that it can check what the filters did.
"""

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from vbench.video.types import FrameGeometry

Plane = npt.NDArray[np.float64]

BT709 = (0.2126, 0.7152, 0.0722)
"""Luma of red, green and blue (ITU-R BT.709-6, 3.2)."""
SHARPNESS = 0.6
"""Parameter C of FFmpeg's bicubic scaler, whose kernel is Mitchell's and Netravali's (SIGGRAPH 1988) with B =
0 (libswscale/utils.c)."""


def frame_luma(frame: npt.NDArray[np.uint8], geometry: FrameGeometry) -> Plane:
    """Luma, 0 to 255, of the picture in a frame: float64[inner_height, inner_width]."""
    is_rgb = geometry.pixel_format == "rgb24"
    luma = rgb_luma(frame) if is_rgb else from_limited(frame[: geometry.height])
    rows = slice(geometry.pad_y, geometry.pad_y + geometry.inner_height)
    return np.asarray(luma[rows, geometry.pad_x : geometry.pad_x + geometry.inner_width])


def rgb_luma(picture: npt.NDArray[np.uint8]) -> Plane:
    """Luma, 0 to 255, of uint8[H, W, 3] rgb24: float64[H, W]."""
    return np.asarray(picture.astype(np.float64) @ np.array(BT709))


def from_limited(luma: npt.NDArray[np.uint8]) -> Plane:
    """Convert luma from limited range (16 to 235) to 0 to 255."""
    return (luma.astype(np.float64) - 16) * (255 / 219)


def scaled(plane: Plane, width: int, height: int) -> Plane:
    """The plane scaled to float64[height, width]."""
    if plane.shape == (height, width):
        return plane
    return np.asarray(_weights(plane.shape[0], height) @ (plane @ _weights(plane.shape[1], width).T))


def _weights(size: int, to_size: int) -> Plane:
    """float64[to_size, size]: weight of each pixel in each new pixel; beyond the edge, the edge repeats."""
    ratio = size / to_size
    stretch = max(ratio, 1)
    centres = (np.arange(to_size) + 0.5) * ratio - 0.5
    reach = int(np.ceil(2 * stretch)) + 1
    near = np.floor(centres).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    x = np.abs(near - centres[:, None]) / stretch
    inner = (2 - SHARPNESS) * x**3 - (3 - SHARPNESS) * x**2 + 1
    outer = SHARPNESS * (-(x**3) + 5 * x**2 - 8 * x + 4)
    shares = np.where(x < 1, inner, np.where(x < 2, outer, 0.0))
    weights = np.zeros((to_size, size))
    np.add.at(weights, (np.arange(to_size)[:, None], np.clip(near, 0, size - 1)), shares)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def detail(plane: Plane) -> Plane:
    """What a plane of half the resolution lacks: each pixel minus the mean of its 2 x 2 block."""
    height, width = (side // 2 * 2 for side in plane.shape)
    plane = plane[:height, :width]
    means = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return np.asarray(plane - means.repeat(2, 0).repeat(2, 1))


def decoded_luma(path: Path, wanted: Collection[int]) -> dict[int, Plane]:
    """Luma, 0 to 255, by PTS, of the ``wanted`` frames of a yuv420p video in limited range, without any
    filter.

    Decodes with PyAV's own copy of FFmpeg's decoders, in this process. Missing frames are left out.
    """
    planes: dict[int, Plane] = {}
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        for frame in container.decode(video):
            if frame.pts is not None and frame.pts in wanted:
                plane = frame.planes[0]
                rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
                planes[frame.pts] = from_limited(rows[:, : frame.width])
                if len(planes) == len(wanted):
                    break
    return planes
