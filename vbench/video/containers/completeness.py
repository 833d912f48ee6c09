"""Checks that a file's outermost boxes are whole: players skip over what is missing, with fewer frames."""

from pathlib import Path

from vbench.video.containers import matroska_completeness, mp4_completeness, transport_stream
from vbench.video.containers.byte_file import open_bytes
from vbench.video.containers.fragments import FragmentOrder


def check_complete(path: Path) -> FragmentOrder | None:
    """Check that MP4/MOV boxes, Matroska/WebM elements or MPEG-TS packets follow each other up to the end.

    Bytes of somebody's own after the last of them are no damage: tags, texts, padding. Files of other
    formats pass.

    Returns:
        The movie fragments of an MP4/MOV file, to be checked once its video track is known; else None.

    Raises:
        VideoError: the file is truncated, or a part of it is missing or overwritten.
    """
    with open_bytes(path) as file:
        if mp4_completeness.recognises(file):
            return mp4_completeness.check(file)
        for kind in (matroska_completeness, transport_stream):
            if kind.recognises(file):
                kind.check(file)
                break
    return None
