"""Refuses MP4/MOV files with far too many tracks before FFmpeg sees them: each costs it about a megabyte."""

from pathlib import Path

from vbench.video.containers import mp4_completeness
from vbench.video.containers.byte_file import open_bytes
from vbench.video.containers.mp4_boxes import boxes, movie_header
from vbench.video.errors import VideoTooLargeError

MOST_TRACKS = 100
"""Of a file, sound and subtitles included."""


def check_track_count(path: Path) -> None:
    """VideoTooLargeError if an MP4/MOV file has more than ``MOST_TRACKS``; files of other formats pass."""
    with open_bytes(path) as file:
        if not mp4_completeness.recognises(file):
            return
        movie = movie_header(file.descriptor, file.size)
    count = sum(kind == b"trak" for kind, _, _ in boxes(movie))
    if count > MOST_TRACKS:
        raise too_many_tracks(path, f"{count} tracks")


def too_many_tracks(path: Path, what: str) -> VideoTooLargeError:
    """Of a file that has ``what``."""
    return VideoTooLargeError(
        f"{path} has {what}, and at most {MOST_TRACKS} tracks are accepted: keep its video alone, with "
        "'ffmpeg -i INPUT -map 0:v:0 -c copy OUTPUT.mp4'"
    )
