"""A video to decode: a bright disc that goes round on a dark ground."""

from io import BytesIO
from math import cos, pi, sin

import av
import numpy as np

WIDTH, HEIGHT, FPS, LENGTH_S = 640, 360, 6, 36


def encoded() -> bytes:
    """The MP4 file, with a keyframe each second."""
    file = BytesIO()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size, stream.bit_rate = FPS, 2_000_000
        for number in range(FPS * LENGTH_S):
            angle = 2 * pi * number / (FPS * 12)
            x, y = WIDTH / 2 + 200 * cos(angle), HEIGHT / 2 + 100 * sin(angle)
            frame = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
            frame[(columns - x) ** 2 + (rows - y) ** 2 < 30**2] = (240, 240, 120)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
