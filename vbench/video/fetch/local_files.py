"""Opens a local video inside the folders that a service may read, whatever its name and links say."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.video.addresses import local_video, path_of
from vbench.video.errors import VideoError
from vbench.video.fetch.path_walk import KernelFileError, UnreachableError, open_path, path_of_descriptor
from vbench.video.types import VideoLimits

NEVER = (Path("/proc"), Path("/dev"), Path("/sys"))
"""What lies here is not a file of anybody's: other processes' open files, devices, the kernel's state."""


def default_roots() -> tuple[str, ...]:
    """For a service that was given no folders: the one that it is started in, unless that is all there is."""
    here = Path.cwd()
    return () if here == Path("/") else (str(here),)


def real_roots(roots: Iterable[str | Path]) -> tuple[Path, ...]:
    """Where the folders really are, without links; ValueError for one that may never be read."""
    real = tuple(Path(os.path.realpath(Path(root).expanduser())) for root in roots)
    for root in real:
        if _below(root, NEVER):
            raise ValueError(f"{root} cannot be a folder of videos: {_list(NEVER)} never are")
    return real


@contextmanager
def opened_below(source: str, roots: tuple[Path, ...], limits: VideoLimits) -> Iterator[tuple[Path, str]]:
    """The file that ``source`` names, open while the block runs: a path to the open file, and its own.

    The path leads to the very file that was checked, whatever its name leads to meanwhile. ``..`` in
    ``source`` removes the name before it, be it a folder, a link or nothing: the kernel, which goes there
    first, would tell what lies outside of ``roots``.

    Raises:
        VideoError: it lies outside of ``roots``, or is not a readable, non-empty, regular file.
        VideoTooLargeError: it has more bytes than ``limits`` allow.
    """
    path = path_of(source)
    if "\0" in str(path):
        raise VideoError(f"{source!r} cannot be read: it has a null byte; leave it out")
    # Path.absolute leaves .. in it; normpath keeps two slashes at the beginning.
    name = "/" + os.path.abspath(path).lstrip("/")  # noqa: PTH100
    outside = VideoError(
        f"{source} cannot be read: it is not in a folder that this service reads; put it there, or deploy "
        "the service with its folder among roots, such as roots=/data/videos"
    )
    if _below(Path(name), NEVER):
        raise outside
    try:
        handle = open_path(Path(name))
    except KernelFileError:
        raise outside from None
    except UnreachableError as error:
        # Outside of the roots the answer is the same whether or not there is such a file.
        if not _allowed(error.real, roots):
            raise outside from None
        reason = getattr(error.__cause__, "strerror", None) or str(error.__cause__)
        raise VideoError(f"{source} cannot be read: {reason}") from error.__cause__
    try:
        status = os.fstat(handle)
        if status.st_nlink == 0 or not _allowed(path_of_descriptor(handle), roots):
            raise outside
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise VideoError(f"{source} is {kind}: name a video file")
        local = Path(f"/proc/self/fd/{handle}")
        try:
            local_video(local, limits)
        except VideoError as error:
            raise type(error)(str(error).replace(str(local), source)) from error.__cause__
        yield local, name
    finally:
        os.close(handle)


def _allowed(real: str | Path, roots: tuple[Path, ...]) -> bool:
    path = Path(real)
    return _below(path, roots) and not _below(path, NEVER)


def _below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _list(folders: tuple[Path, ...]) -> str:
    return ", ".join(map(str, folders))
