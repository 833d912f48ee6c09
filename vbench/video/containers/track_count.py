"""Refuses MP4/MOV files with far too many tracks before FFmpeg opens them: each costs it about a megabyte."""

from pathlib import Path

from vbench.video.containers import mp4_completeness
from vbench.video.containers.byte_file import open_bytes
from vbench.video.containers.mp4_boxes import boxes, movie_header
from vbench.video.errors import VideoTooLargeError
from vbench.video.remedies import copy_video_alone

MAX_TRACKS = 100
"""Tracks per file, including sound and subtitles."""


def check_track_count(path: Path) -> None:
    """Raise VideoTooLargeError if an MP4/MOV file has more than ``MAX_TRACKS``; other formats pass."""
    with open_bytes(path) as file:
        if not mp4_completeness.recognises(file):
            return
        movie = movie_header(file.descriptor, file.size)
    count = sum(kind == b"trak" for kind, _, _ in boxes(movie))
    if count > MAX_TRACKS:
        raise too_many_tracks(path, f"{count} tracks")


def too_many_tracks(path: Path, what: str) -> VideoTooLargeError:
    """The error of a file that has ``what``, e.g. ``101 tracks``."""
    return VideoTooLargeError(
        f"{path} has {what}, but at most {MAX_TRACKS} tracks are accepted; keep only its video: "
        f"{copy_video_alone(path)}"
    )
