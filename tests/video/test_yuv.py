"""Frames in yuv420p: the bytes that the video holds, in place, and refused where they cannot be."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.video.support.clips import ClipStore, run_ffmpeg
from tests.video.support.oracle import ALL, found, one_chunk, truth
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.scene import SceneSettings, ensure_clip
from vbench.video.types import FrameGeometry


def planes(pixels: npt.NDArray[np.uint8], geometry: FrameGeometry) -> list[npt.NDArray[np.uint8]]:
    """Y, U and V of frames."""
    size = geometry.width * geometry.height
    y, u, v = np.split(pixels.reshape(len(pixels), -1), [size, size * 5 // 4], axis=1)
    small = (-1, geometry.height // 2, geometry.width // 2)
    return [y.reshape(-1, geometry.height, geometry.width), u.reshape(small), v.reshape(small)]


def test_a_video_in_bt709_comes_out_as_it_is_coded(tmp_path: Path) -> None:
    clip = ensure_clip(SceneSettings(width=322, height=182, length_s=1, unique_s=1), tmp_path)
    chunk = one_chunk(clip)

    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info, "yuv420p"), threads=1, timeout_s=60)

    assert frames.pixels.shape == (30, 273, 322)
    assert found([frames]) == truth(clip, "null").expected(ALL)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_any_video_comes_out_in_bt709_and_limited_range(matrix: str, tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=c=0xFF0000:s=64x64:r=5:d=1,format=rgb24", "-vf",
               f"scale=out_color_matrix={matrix}:out_range=tv", "-c:v", "libx264", "-qp", "1",
               "-pix_fmt", "yuv444p", "-colorspace", matrix, "-color_range", "tv", str(path))  # fmt: skip
    chunk = one_chunk(path)
    geometry = FrameGeometry.native(chunk.info, "yuv420p")

    frames = decode_chunk(chunk, geometry, threads=1, timeout_s=60)

    for plane, value in zip(planes(frames.pixels, geometry), (63, 102, 240), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 3


@pytest.mark.parametrize("name", ["rotated_90", "odd_444", "constant", "ten_bit"])
@pytest.mark.parametrize("size", [(96, 96), (130, 58)])
def test_chunk_and_whole_agree_and_what_the_picture_does_not_cover_is_grey(
    name: str, size: tuple[int, int], clip: ClipStore
) -> None:
    chunk = one_chunk(clip(name), Fraction(5))
    geometry = FrameGeometry.fitted(chunk.info.width, chunk.info.height, *size, "letterbox", "yuv420p")

    frames = decode_chunk(chunk, geometry, threads=2, timeout_s=60)
    whole = decode_video(clip(name), fps=Fraction(5), geometry=geometry, threads=1, timeout_s=60)

    assert found([frames]) == found(list(whole))
    for plane, value, step in zip(planes(frames.pixels, geometry), (114, 128, 128), (1, 2, 2), strict=True):
        rows = np.s_[geometry.pad_y // step : (geometry.pad_y + geometry.inner_height) // step]
        columns = np.s_[geometry.pad_x // step : (geometry.pad_x + geometry.inner_width) // step]
        assert (np.delete(plane, rows, axis=1) == value).all()
        assert (np.delete(plane, columns, axis=2) == value).all()
        assert plane[:, rows, columns].std() > 1


@pytest.mark.parametrize("size", [(161, 90), (160, 91)])
def test_frames_of_an_odd_size_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(VideoError, match=r"cannot be yuv420p, which needs an even width and height: use"):
        FrameGeometry.fitted(161, 91, *size, "stretch", "yuv420p")
