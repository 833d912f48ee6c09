"""Parses the address of a video: a path, a ``file:`` URI, or a remote address; checks local files."""

import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.remedies import COPY_AGAIN
from vbench.video.types import VideoLimits

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ALMOST = re.compile(r"[^A-Za-z0-9/.]+([A-Za-z][A-Za-z0-9+.-]*)://")
"""An address after a space or a quote; taken for a path, its password would appear in messages."""


def scheme_of(source: str | Path) -> str:
    """The scheme of an address, in lower case; ``file`` for a path. VideoError for a malformed address."""
    if isinstance(source, str) and (almost := _ALMOST.match(source)):
        raise VideoError(
            f"malformed address: remove the characters before {almost[1]}: (details withheld: they may "
            "contain credentials)"
        )
    if isinstance(source, Path) or not _SCHEME.match(source):
        return "file"
    try:
        parts = urlsplit(source)
        parts.port  # noqa: B018 - whether it is one
    except ValueError:  # whose text holds part of the address
        scheme = source.partition(":")[0]
        raise VideoError(
            f"malformed {scheme} address: check its host and port (details withheld: they may contain "
            "credentials)"
        ) from None
    return parts.scheme.lower()


def is_remote(source: str | Path) -> bool:
    """Whether a video has to be fetched. Raises VideoError as ``scheme_of`` does."""
    return scheme_of(source) != "file"


def local_video(source: str | Path, limits: VideoLimits | None = None) -> Path:
    """Absolute path of the video file that ``source`` names: a path or a ``file:`` URI.

    FFmpeg's protocols (``concat:...``, ``subfile,,...``) have no meaning here: they name files that do not
    exist.

    Raises:
        VideoError: it does not name a readable, non-empty, regular file on this machine.
        VideoTooLargeError: the file has more bytes than ``limits`` allow.
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
        raise VideoError(f"{source} is empty: it has 0 bytes; {COPY_AGAIN}")
    if status.st_size > limits.max_size_bytes:
        raise VideoTooLargeError(
            f"{source} is too large: it has {status.st_size} bytes, {limits.max_size_bytes} are allowed; "
            "shorten it, or re-encode it at a lower rate"
        )
    return path.absolute()


def media_url(path: Path) -> str:
    """The URL by which FFmpeg and PyAV open ``path`` as a file, whatever its name looks like."""
    return f"file:{path}"


def path_of(source: str | Path) -> Path:
    """The path that a path or a ``file:`` URI names; VideoError for anything else."""
    if isinstance(source, Path):
        return source
    if not source:
        raise VideoError("no video given: give the path of a video file")
    if not source.lower().startswith("file:") and not _SCHEME.match(source):
        return Path(source)
    parts = urlsplit(source)
    if parts.scheme.lower() != "file":
        raise VideoError(
            f"{source} is not a local file, and {parts.scheme} is not supported here: download the video and "
            "give its path"
        )
    if parts.netloc not in ("", "localhost"):
        raise VideoError(f"{source} names a file on the host {parts.netloc}: only local files can be read")
    if parts.query or parts.fragment:
        raise VideoError(f"{source} is not a plain file URI: write ? and # in a file name as %3F and %23")
    return Path(unquote(parts.path))
