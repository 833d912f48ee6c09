"""Checks that a file is complete: players skip what is missing, and show fewer frames."""

from pathlib import Path

from vbench.video.containers import matroska_completeness, mp4_completeness, transport_stream
from vbench.video.containers.byte_file import open_bytes
from vbench.video.containers.fragments import FragmentSequence


def check_complete(path: Path) -> FragmentSequence | None:
    """Check that MP4/MOV boxes, Matroska/WebM elements or MPEG-TS packets follow each other up to the end.

    Other bytes after the last of them, such as tags, text and padding, are no damage. Files of other formats
    pass.

    Returns:
        The movie fragments of an MP4/MOV file, to be checked once its video track is known; otherwise None.

    Raises:
        VideoError: the file is truncated, or a part of it is missing or overwritten.
    """
    with open_bytes(path) as file:
        if mp4_completeness.recognises(file):
            return mp4_completeness.check(file)
        for container in (matroska_completeness, transport_stream):
            if container.recognises(file):
                container.check(file)
                break
    return None
