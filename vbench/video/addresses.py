"""Turns what a user calls a video into the path of a readable, non-empty, regular file."""

import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.types import VideoLimits

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ALMOST = re.compile(r"[^A-Za-z0-9/.]+([A-Za-z][A-Za-z0-9+.-]*)://")
"""An address behind a space or a quote; as a path, its password would be shown."""


def scheme_of(source: str | Path) -> str:
    """The scheme of an address, in small letters; ``file`` for a path. VideoError for what is neither."""
    if isinstance(source, str) and (almost := _ALMOST.match(source)):
        raise VideoError(
            f"what begins with a space or another character before {almost[1]}: is no address: leave that out"
        )
    if isinstance(source, Path) or not _SCHEME.match(source):
        return "file"
    try:
        parts = urlsplit(source)
        parts.port  # noqa: B018 - whether it is one
    except ValueError:  # whose text holds part of the address
        scheme = source.partition(":")[0]
        raise VideoError(f"what begins with {scheme}: is no address: check its host and port") from None
    return parts.scheme.lower()


def is_remote(source: str | Path) -> bool:
    """Whether a video has to be fetched, rather than read where it is. VideoError as for ``scheme_of``."""
    return scheme_of(source) != "file"


def local_video(source: str | Path, limits: VideoLimits | None = None) -> Path:
    """Absolute path of the video file that ``source`` names: a path or a ``file:`` URI.

    FFmpeg's protocol names (``concat:...``, ``subfile,,...``) are nothing special here: they are names of
    files that do not exist.

    Raises:
        VideoError: it is not a readable, non-empty, regular file on this machine.
        VideoTooLargeError: it has more bytes than ``limits`` allow.
    """
    limits = limits or VideoLimits()
    path = path_of(source)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{source} cannot be read: {reason}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise VideoError(f"{source} is {kind}: name a video file")
    if not os.access(path, os.R_OK):
        raise VideoError(f"{source} cannot be read: permission denied")
    if status.st_size == 0:
        raise VideoError(f"{source} is empty: it has 0 bytes")
    if status.st_size > limits.max_size_bytes:
        raise VideoTooLargeError(
            f"{source} is too large: it has {status.st_size} bytes, {limits.max_size_bytes} are allowed"
        )
    return path.absolute()


def media_url(path: Path) -> str:
    """The name to open ``path`` by in FFmpeg and PyAV: as a file, whatever it looks like."""
    return f"file:{path}"


def path_of(source: str | Path) -> Path:
    """The path that a path or a ``file:`` URI names; VideoError if it is neither."""
    if isinstance(source, Path):
        return source
    if not source:
        raise VideoError("no video was named: give the path of a video file")
    if not source.lower().startswith("file:") and not _SCHEME.match(source):
        return Path(source)
    parts = urlsplit(source)
    if parts.scheme.lower() != "file":
        raise VideoError(
            f"{source} is not a local file: {parts.scheme} is not supported, "
            "download the video and give its path"
        )
    if parts.netloc not in ("", "localhost"):
        raise VideoError(f"{source} names a file on the host {parts.netloc}: only local files can be read")
    if parts.query or parts.fragment:
        raise VideoError(f"{source} is not a plain file URI: write ? and # in a file's name as %3F and %23")
    return Path(unquote(parts.path))
