"""Reads from a decoded picture how to display it: colours, cropping, rotation."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vbench.video.codecs.picture_format import PictureFormat
from vbench.video.containers.crop import NO_CROP, Crop
from vbench.video.errors import VideoError

_MATRICES = {
    0: "auto",
    1: "bt709",
    2: "auto",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
}
"""Names in FFmpeg's scale filter of the matrix coefficients of ITU-T H.273 (table 4) that it supports.

0 means GBR; if the pictures are YCbCr anyway, FFmpeg converts them as if the stream stated nothing.
"""
_RANGES = {1: "tv", 2: "pc"}


def color_matrix(path: Path, frame: VideoFrame) -> str:
    """The matrix's name in FFmpeg's scale filter; ``auto`` for RGB, and for YCbCr of unspecified matrix.

    Raises:
        VideoError: FFmpeg cannot convert from this matrix.
    """
    if frame.format.is_rgb:
        return "auto"
    number = int(frame.colorspace)
    if number not in _MATRICES:
        raise VideoError(
            f"{path} has colours that cannot be converted: FFmpeg does not support matrix {number} of ITU-T "
            "H.273"
        )
    return _MATRICES[number]


def color_range(frame: VideoFrame) -> str:
    """``tv`` (limited), ``pc`` (full), or ``auto`` if the stream states none."""
    return _RANGES.get(int(frame.color_range), "auto")


def picture_format(frame: VideoFrame) -> PictureFormat:
    """Size, pixel format and colours of a decoded picture, stated by the stream or its container."""
    parts = frame.format.components
    full = {1: False, 2: True}.get(int(frame.color_range))
    chroma = {(2, 2): 1, (2, 1): 2, (1, 1): 3}.get(_chroma_steps(frame), 4) if len(parts) > 1 else 0
    return PictureFormat(
        width=frame.width,
        height=frame.height,
        chroma=chroma,
        bit_depth=parts[0].bits,
        matrix=int(frame.colorspace),
        full_range=full,
    )


def align_to_chroma(path: Path, crop: Crop, frame: VideoFrame) -> Crop:
    """``crop`` as FFmpeg applies it: rounded so that no picture begins or ends within a chroma sample.

    Raises:
        VideoError: less than one chroma sample is left.
    """
    left, top, right, bottom = crop
    if crop == NO_CROP:
        return crop
    step_x, step_y = _chroma_steps(frame)
    width = (frame.width - left - right) // step_x * step_x
    height = (frame.height - top - bottom) // step_y * step_y
    if not width or not height:
        raise VideoError(
            f"{path} cannot be displayed: its container crops it to {frame.width - left - right} x "
            f"{frame.height - top - bottom} pixels, less than one chroma sample ({step_x} x {step_y} pixels)"
        )
    left, top = left // step_x * step_x, top // step_y * step_y
    return left, top, frame.width - left - width, frame.height - top - height


def _chroma_steps(frame: VideoFrame) -> tuple[int, int]:
    """Pixels per chroma sample, horizontally and vertically."""
    parts = frame.format.components
    if len(parts) < 2:
        return 1, 1
    return round(frame.width / parts[1].width), round(frame.height / parts[1].height)


def orientation(path: Path, frame: VideoFrame) -> tuple[int, bool]:
    """Clockwise rotation in degrees (0, 90, 180 or 270), and whether to flip before, from the display matrix.

    The matrix is interpreted as in FFmpeg's libavutil/display.h and its automatic rotation.

    Raises:
        VideoError: it rotates by anything but a multiple of 90 degrees.
    """
    side_data: Any = frame.side_data  # its type hint knows motion vectors only
    try:
        matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32)
    except KeyError:
        return 0, False
    turn = math.degrees(math.atan2(int(matrix[1]), int(matrix[0])))
    rotation = round(turn / 90) * 90
    if abs(turn - rotation) > 1:
        raise VideoError(f"{path} is rotated by {turn:.0f} degrees: only multiples of 90 degrees can be read")
    determinant = int(matrix[0]) * int(matrix[4]) - int(matrix[1]) * int(matrix[3])
    return rotation % 360, determinant < 0
