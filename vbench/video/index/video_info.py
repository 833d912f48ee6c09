"""Gathers the facts about a video from its container, its index and its first frame."""

from collections.abc import Sequence

import numpy as np
from av.video.frame import VideoFrame

from vbench.video.containers.crop import container_crop
from vbench.video.index.demux import OpenVideo
from vbench.video.index.display_metadata import align_to_chroma, color_matrix, color_range, orientation
from vbench.video.index.packet_index import NO_PTS, PacketIndex
from vbench.video.types import VideoInfo


def video_info(
    video: OpenVideo, frame: VideoFrame, index: PacketIndex, durations: Sequence[int]
) -> VideoInfo:
    """The facts about a video.

    Args:
        video: the open file.
        frame: the first frame that its decoder outputs.
        index: of all its packets, at least one of which is presented.
        durations: ticks of each packet in decoding order; 0 if the container does not say.

    Raises:
        VideoError: the picture cannot be cropped, rotated or converted as the file says.
    """
    path, stream = video.path, video.stream
    assert stream.time_base is not None
    rotation, flipped = orientation(path, frame)
    crop = align_to_chroma(
        path,
        container_crop(
            path,
            stream_index=stream.index,
            stream_id=stream.id,
            width=frame.width,
            height=frame.height,
        ),
        frame,
    )
    last = int(np.argmax(np.where(index.presented, index.pts, NO_PTS)))
    presented = index.pts[index.presented]
    return VideoInfo(
        path=str(path),
        container=video.container.format.name,
        codec=video.codec,
        pixel_format=frame.format.name,
        coded_width=frame.width - crop[0] - crop[2],
        coded_height=frame.height - crop[1] - crop[3],
        crop=crop,
        rotation=rotation,
        flipped=flipped,
        color_matrix=color_matrix(path, frame),
        color_range=color_range(frame),
        time_base=stream.time_base,
        first_pts=int(presented.min()),
        end_pts=int(presented.max()) + (durations[last] or _usual_duration(video, index)),
        frames=len(presented),
        size_bytes=path.stat().st_size,
        announced_pixels=video.announced_pixels,
    )


def _usual_duration(video: OpenVideo, index: PacketIndex) -> int:
    """Ticks from frame to frame: the median over the video, else by its stated rate, else one."""
    gaps = np.diff(index.presented_pts())
    if len(gaps):
        return max(1, int(np.median(gaps)))
    rate, time_base = video.stream.guessed_rate, video.stream.time_base
    return max(1, round(1 / (rate * time_base))) if rate and time_base else 1
