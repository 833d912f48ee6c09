"""Opens a local video inside the folders that a service may read, whatever its name and links lead to."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.video.addresses import local_video, path_of
from vbench.video.errors import VideoError
from vbench.video.fetch.path_walk import KernelFileError, UnreachableError, open_path, path_of_descriptor
from vbench.video.types import VideoLimits

FORBIDDEN_FOLDERS = (Path("/proc"), Path("/dev"), Path("/sys"))
"""They contain no users' files, but other processes' open files, devices, and the kernel's state."""


def default_roots() -> tuple[str, ...]:
    """The folders of a service that was given none: the working folder, unless that is ``/``."""
    here = Path.cwd()
    return () if here == Path("/") else (str(here),)


def real_roots(roots: Iterable[str | Path]) -> tuple[Path, ...]:
    """The folders with all links resolved; ValueError for one that may never be read."""
    real = tuple(Path(os.path.realpath(Path(root).expanduser())) for root in roots)
    for root in real:
        if _below(root, FORBIDDEN_FOLDERS):
            raise ValueError(
                f"{root} cannot be a folder of videos: {_list(FORBIDDEN_FOLDERS)} are never read"
            )
    return real


@contextmanager
def open_below(source: str, roots: tuple[Path, ...], limits: VideoLimits) -> Iterator[tuple[Path, str]]:
    """The file that ``source`` names, open while the block runs: a path to the open file, and its own path.

    The first path leads to the very file that was checked, whatever its name leads to by then. ``..`` in
    ``source`` removes the name before it, be it a folder, a link or nothing: the kernel, which enters that
    first, would reveal what is outside of ``roots``.

    Raises:
        VideoError: it is outside of ``roots``, or is not a readable, non-empty, regular file.
        VideoTooLargeError: it has more bytes than ``limits`` allow.
    """
    path = path_of(source)
    if "\0" in str(path):
        raise VideoError(f"{source!r} cannot be read: the path contains a null byte; remove it")
    # Path.absolute leaves .. in it; normpath keeps two slashes at the beginning.
    name = "/" + os.path.abspath(path).lstrip("/")  # noqa: PTH100
    outside = VideoError(
        f"{source} cannot be read: it is not in a folder that this service reads; move it there, or deploy "
        "the service with its folder in roots, for example roots=/data/videos"
    )
    if _below(Path(name), FORBIDDEN_FOLDERS):
        raise outside
    try:
        handle = open_path(Path(name))
    except KernelFileError:
        raise outside from None
    except UnreachableError as error:
        # Outside of the roots, the response is the same whether or not there is such a file.
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
    return _below(path, roots) and not _below(path, FORBIDDEN_FOLDERS)


def _below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _list(folders: tuple[Path, ...]) -> str:
    return ", ".join(map(str, folders))
