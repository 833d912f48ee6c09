"""Frames of each kind become the pictures that a network takes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vbench.models.pictures import PAD_VALUE, picture_size, to_pictures
from vbench.models.protocol import InputSpec
from vbench.video.frames import decode_video
from vbench.video.scene import SceneSettings, ensure_clip
from vbench.video.types import FrameGeometry, PixelFormat

SPEC = InputSpec(width=64, height=32, fit="letterbox")


def flat(y: int, u: int, v: int, width: int, height: int) -> torch.Tensor:
    """One yuv420p frame of one colour."""
    luma = np.full(width * height, y, np.uint8)
    chroma = [np.full(width * height // 4, value, np.uint8) for value in (u, v)]
    return torch.from_numpy(np.concatenate([luma, *chroma]).reshape(1, height * 3 // 2, width))


@pytest.mark.parametrize(
    ("yuv", "rgb"),
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((63, 102, 240), (255, 0, 0)),
        ((173, 42, 26), (0, 255, 0)),
        ((32, 240, 118), (0, 0, 255)),
        ((254, 128, 128), (255, 255, 255)),
    ],
)
@pytest.mark.parametrize("size", [(64, 32), (128, 64), (30, 50)])
def test_yuv420p_is_bt709_in_limited_range(
    yuv: tuple[int, int, int], rgb: tuple[int, int, int], size: tuple[int, int]
) -> None:
    pictures, geometry = to_pictures(flat(*yuv, *size), SPEC)

    assert pictures.shape == (1, 3, 32, 64)
    rows = np.s_[geometry.pad_y : geometry.pad_y + geometry.inner_height]
    columns = np.s_[geometry.pad_x : geometry.pad_x + geometry.inner_width]
    inner = pictures[0, :, rows, columns].numpy()
    assert np.abs(inner - np.array(rgb)[:, None, None]).max() <= 1.5
    assert (np.delete(pictures[0].numpy(), columns, axis=2) == PAD_VALUE).all()


def decoded(clip: Path, pixel_format: PixelFormat, width: int, height: int) -> npt.NDArray[np.uint8]:
    geometry = FrameGeometry.fitted(640, 360, width, height, "letterbox", pixel_format)
    (frames,) = decode_video(clip, fps=Fraction(1), geometry=geometry, threads=1, timeout_s=60)
    return frames.pixels


@pytest.mark.parametrize("size", [(640, 360), (320, 180)], ids=["as it is", "scaled"])
def test_both_kinds_show_the_same_picture(size: tuple[int, int], tmp_path: Path) -> None:
    clip = ensure_clip(SceneSettings(width=640, height=360, length_s=1, unique_s=1), tmp_path)
    spec = InputSpec(width=320, height=180, fit="stretch")
    pictures = []
    for pixel_format in ("rgb24", "yuv420p"):
        frames = torch.from_numpy(decoded(clip, pixel_format, *size))
        pictures.append(to_pictures(frames, spec)[0].float().numpy())

    first, second = pictures
    assert first.std() > 30
    assert np.abs(first - second).mean() < 3


@pytest.mark.parametrize("shape", [(360, 640), (360, 640, 3), (1, 3, 36, 64), (1, 31, 64), (1, 30, 63)])
def test_what_is_no_batch_of_frames_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"frames must be uint8\[N, H, W, 3\] or uint8\[N, 3 H / 2, W\], not"
    ):
        picture_size(np.zeros(shape, np.uint8))
