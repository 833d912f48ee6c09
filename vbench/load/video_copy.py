"""Local copies of remote videos, for the reference pass and the facts about them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from vbench.config.schema import VideoConfig
from vbench.load.events import note, progress
from vbench.pipeline.config import VideoLimitArgs
from vbench.video.addresses import is_remote, path_of
from vbench.video.digest import file_digest
from vbench.video.fetch.download import fetch_video


def local_copy(video: VideoConfig, folder: Path) -> Path:
    """The file that ``video.path`` names, or a copy in ``folder`` of what its address gives now.

    A copy is named after its bytes, so that a changed video does not replace that of earlier trials.
    VideoError if it cannot be fetched.
    """
    source = video.path or ""
    if not is_remote(source):
        return path_of(source).expanduser().resolve()
    progress("fetching the video")
    usual = VideoLimitArgs().limits()
    limits = replace(usual, max_fetched_bytes=usual.max_size_bytes, max_disk_share=1.0)
    with fetch_video(source, limits=limits, timeout_s=video.fetch_timeout_s) as local:
        path = folder.resolve() / f"{local.checksum}{Path(local.display_name).suffix}"
        if not path.exists() or file_digest(path) != local.checksum:
            if path.exists():
                note(f"{path} differs from what was downloaded: it is downloaded again.")
            folder.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(f".{os.getpid()}.part")
            shutil.copyfile(local.path, half)
            half.replace(path)
    return path
