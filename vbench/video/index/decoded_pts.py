"""Decodes a video once and lists the PTS of its frames, for files whose packets leave a doubt."""

from itertools import chain
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.demux import open_video
from vbench.video.types import VideoLimits


def decoded_pts(
    path: Path,
    limits: VideoLimits,
    max_frames: int | None = None,
    undecodable: npt.NDArray[np.bool_] | None = None,
) -> list[int]:
    """PTS of the frames of one pass, in output order.

    Args:
        path: the video.
        limits: what to refuse.
        max_frames: stop after this many frames.
        undecodable: bool[N]: packets, in decoding order, whose decoding may fail.

    Raises:
        VideoError: the video cannot be decoded.
    """
    pts: list[int] = []
    with open_video(path, limits) as video:
        context = video.stream.codec_context
        for position, packet in enumerate(chain(video.packets(), [None])):
            try:
                pts += [frame.pts for frame in context.decode(packet) if frame.pts is not None]
            except av.FFmpegError as error:
                if undecodable is not None and position < len(undecodable) and undecodable[position]:
                    continue
                raise VideoError(f"{path} cannot be decoded: {error.strerror}") from error
            if max_frames is not None and len(pts) >= max_frames:
                break
    return pts
