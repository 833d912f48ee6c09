"""The pixel formats of frames on their way from decoder to model."""

from typing import Literal

PixelFormat = Literal["rgb24", "yuv420p"]
"""``rgb24``: 3 bytes per pixel. ``yuv420p``: 1.5, chroma at half width and height, BT.709 in limited
range."""
