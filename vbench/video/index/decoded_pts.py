"""The times of a video's frames as one decoder hands them out, for files whose packets leave a doubt."""

from itertools import chain
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.demux import open_video
from vbench.video.types import VideoLimits


def decoded_times(
    path: Path,
    limits: VideoLimits,
    most: int | None = None,
    needless: npt.NDArray[np.bool_] | None = None,
) -> list[int]:
    """pts of the frames of one pass, in the decoder's order.

    Args:
        path: the video.
        limits: what is refused.
        most: of so many frames alone, if given.
        needless: bool[N]: packets, by their place, of which it does not matter if they cannot be decoded.

    Raises:
        VideoError: it cannot be decoded.
    """
    times: list[int] = []
    with open_video(path, limits) as video:
        context = video.stream.codec_context
        for place, packet in enumerate(chain(video.packets(), [None])):
            try:
                times += [frame.pts for frame in context.decode(packet) if frame.pts is not None]
            except av.FFmpegError as error:
                if needless is not None and place < len(needless) and needless[place]:
                    continue
                raise VideoError(f"{path} cannot be decoded: {error.strerror}") from error
            if most is not None and len(times) >= most:
                break
    return times
