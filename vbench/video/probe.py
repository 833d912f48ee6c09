"""Reads facts about a video and the index of its packets; decodes one frame."""

from collections.abc import Callable
from pathlib import Path

from vbench.video.addresses import local_video
from vbench.video.containers.completeness import check_complete
from vbench.video.containers.sample_table import check_sample_table
from vbench.video.index.demux import open_video
from vbench.video.index.index_builder import IndexBuilder
from vbench.video.index.packet_index import PacketIndex
from vbench.video.types import VideoInfo, VideoLimits

PROGRESS_PACKETS = 10_000
"""Packets between two reports of progress."""


def probe(source: str | Path, limits: VideoLimits | None = None) -> VideoInfo:
    """Facts about a video; reads all its packets and decodes one frame.

    Args:
        source: path or ``file:`` URI of the video.
        limits: what to refuse.

    Raises:
        VideoError: it cannot be read or is damaged.
        VideoTooLargeError: it exceeds one of ``limits``.
    """
    return read_index(source, limits)[0]


def read_index(
    source: str | Path, limits: VideoLimits | None = None, on_progress: Callable[[], None] | None = None
) -> tuple[VideoInfo, PacketIndex]:
    """Facts about a video, and the index of its packets.

    Args:
        source: path or ``file:`` URI of the video.
        limits: what to refuse.
        on_progress: called every ``PROGRESS_PACKETS`` packets, and at the end.

    Raises:
        VideoError: it cannot be read or is damaged.
        VideoTooLargeError: it exceeds one of ``limits``; reading stops there.
    """
    limits = limits or VideoLimits()
    path = local_video(source, limits)
    fragments = check_complete(path)
    with open_video(path, limits) as video:
        if fragments is not None:
            fragments.check(video.stream.id)
        builder = IndexBuilder(
            video, limits, sample_offsets=check_sample_table(path, video.stream.id, limits)
        )
        for number, packet in enumerate(video.packets(), start=1):
            builder.add(packet)
            if on_progress is not None and number % PROGRESS_PACKETS == 0:
                on_progress()
        if on_progress is not None:
            on_progress()
        return builder.finish()
