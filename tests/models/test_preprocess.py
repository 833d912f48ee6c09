"""Frames of each kind become the pictures that a network takes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by

from vbench.models.preprocess import PAD_VALUE, picture_size, scaled_like_bytes, to_pictures
from vbench.models.protocol import InputSpec
from vbench.video.frames import decode_video
from vbench.video.scene import Scene, SceneSettings, ensure_clip
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


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 720), (960, 540), (641, 359), (320, 180)])
def test_scaling_elsewhere_is_scaling_of_bytes(width: int, height: int) -> None:
    """What a GPU does, done here: all but few pixels are the CPU's, and those are next to it."""
    frame = Scene(SceneSettings(width=2 * (width // 2), height=2 * (height // 2), seed=78)).frame(3)
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None]
    here = F.interpolate(planes, (360, 640), mode="bilinear", antialias=True).int()
    off = (scaled_like_bytes(planes, (360, 640)).int() - here).abs()

    assert off.max() <= 1
    assert (off > 0).float().mean() < 0.002
