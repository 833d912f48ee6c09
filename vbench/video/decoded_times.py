"""The times of a video's frames as one decoder hands them out, for files whose packets leave a doubt."""

from itertools import chain
from pathlib import Path

import av

from vbench.video.demux import open_video
from vbench.video.errors import VideoError
from vbench.video.types import VideoLimits


def decoded_times(path: Path, limits: VideoLimits, most: int | None = None) -> list[int]:
    """pts of the frames of one pass, in the decoder's order; of the first ``most`` alone if given.

    Raises:
        VideoError: it cannot be decoded.
    """
    times: list[int] = []
    with open_video(path, limits) as video:
        context = video.stream.codec_context
        try:
            for packet in chain(video.packets(), [None]):
                times += [frame.pts for frame in context.decode(packet) if frame.pts is not None]
                if most is not None and len(times) >= most:
                    break
        except av.FFmpegError as error:
            raise VideoError(f"{path} cannot be decoded: {error.strerror}") from error
    return times
