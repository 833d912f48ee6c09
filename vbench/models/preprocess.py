"""Frames as they travel -> pictures as a network takes them, on the device that the frames are on."""

from functools import lru_cache
from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by
from torch import Tensor

from vbench.models.protocol import InputSpec
from vbench.video.types import FrameGeometry

PAD_VALUE = 114
"""Grey around a letterboxed picture, as in ``FrameGeometry``."""

LUMA = 255 / 219
"""BT.709 in limited range (ITU-R BT.709-6, 3.2 and 3.4): Y is 16 to 235, U and V are 16 to 240."""
RED_OF_V, BLUE_OF_U = 255 / 224 * 1.5748, 255 / 224 * 1.8556
GREEN_OF_U, GREEN_OF_V = -0.0722 / 0.7152 * BLUE_OF_U, -0.2126 / 0.7152 * RED_OF_V


def picture_size(frames: npt.NDArray[Any] | Tensor) -> tuple[int, int]:
    """Width and height in pixels of frames uint8[N, H, W, 3] (rgb24) or uint8[N, 3 H / 2, W] (yuv420p).

    ValueError for what is neither.
    """
    shape = tuple(frames.shape)
    if str(frames.dtype) in ("uint8", "torch.uint8"):
        if len(shape) == 4 and shape[3] == 3:
            return shape[2], shape[1]
        if len(shape) == 3 and shape[1] % 3 == 0 and shape[2] % 2 == 0:
            return shape[2], shape[1] // 3 * 2
    raise ValueError(
        f"frames must be uint8[N, H, W, 3] or uint8[N, 3 H / 2, W], not {frames.dtype}{list(shape)}"
    )


def to_pictures(frames: Tensor, spec: InputSpec) -> tuple[Tensor, FrameGeometry]:
    """Frames as ``picture_size`` takes them -> [N, 3, height, width] of ``spec``, rgb from 0 to 255.

    Scaled with antialiasing, where they are of another size; the dtype is uint8 or float32. Also how the
    frames lie in the pictures.
    """
    width, height = picture_size(frames)
    geometry = fitted(width, height, spec)
    if frames.dim() == 4:
        inner = _scaled(frames.permute(0, 3, 1, 2), geometry)
    else:
        inner = _to_rgb(*(_scaled(plane, geometry).float() for plane in _planes(frames, width, height)))
    right = geometry.width - geometry.inner_width - geometry.pad_x
    below = geometry.height - geometry.inner_height - geometry.pad_y
    if any((geometry.pad_x, right, geometry.pad_y, below)):
        inner = F.pad(inner, (geometry.pad_x, right, geometry.pad_y, below), value=PAD_VALUE)
    return inner, geometry


@lru_cache(maxsize=64)
def fitted(width: int, height: int, spec: InputSpec) -> FrameGeometry:
    """How frames of this size, in pixels, lie in pictures of ``spec``."""
    return FrameGeometry.fitted(width, height, spec.width, spec.height, spec.fit)


def _planes(frames: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Y as [N, 1, H, W]; U and V as [N, 2, H / 2, W / 2]."""
    luma = frames[:, :height].unsqueeze(1)
    chroma = frames[:, height:].reshape(len(frames), 2, height // 2, width // 2)
    return luma, chroma


def _scaled(planes: Tensor, geometry: FrameGeometry) -> Tensor:
    size = (geometry.inner_height, geometry.inner_width)
    if tuple(planes.shape[2:]) == size:
        return planes
    if planes.device.type == "cpu":
        return F.interpolate(planes, size, mode="bilinear", antialias=True)
    return scaled_like_bytes(planes, size)


def scaled_like_bytes(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Bytes [N, C, H, W] -> float32 [N, C, *size], whole numbers: what a CPU makes of them.

    Only on a CPU torch scales bytes, first across and then down, and rounds after each (half up): without
    that one pixel in eight is another one, and a score that is 0.4 here is 0.43 there.
    """
    across = F.interpolate(planes.float(), (planes.shape[2], size[1]), mode="bilinear", antialias=True)
    across = across.add_(0.5).floor_()
    return F.interpolate(across, size, mode="bilinear", antialias=True).add_(0.5).floor_()


def _to_rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    """float[N, 1, H, W] and float[N, 2, H, W], BT.709 in limited range -> [N, 3, H, W], 0 to 255."""
    y = (luma - 16) * LUMA
    chroma = chroma - 128
    u, v = chroma[:, :1], chroma[:, 1:]
    red = y + RED_OF_V * v
    green = y + GREEN_OF_U * u + GREEN_OF_V * v
    blue = y + BLUE_OF_U * u
    return torch.cat((red, green, blue), dim=1).clamp_(0, 255)
