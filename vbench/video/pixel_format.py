"""The pixel formats of frames on their way from decoder to model."""

from typing import Literal

PixelFormat = Literal["rgb24", "yuv420p"]
"""``rgb24``: 3 bytes a pixel. ``yuv420p``: 1.5, colour at half width and height, BT.709 in limited range."""
