"""Downloads a remote video (HTTP, S3, Google Cloud Storage) into an unnamed file of this process."""

import errno
import os
import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args
from urllib.parse import urlsplit

from vbench.video.addresses import local_video, scheme_of
from vbench.video.errors import (
    StoppedError,
    VideoBusyError,
    VideoError,
    VideoTimeoutError,
    VideoUnreachableError,
)
from vbench.video.fetch.byte_source import ByteSource, InterruptedFetchError
from vbench.video.fetch.deadline import Deadline, DeadlineExceededError
from vbench.video.fetch.disk_room import COPIES
from vbench.video.fetch.fetched_copy import FetchedCopy
from vbench.video.fetch.local_files import open_below
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.types import VideoLimits

Scheme = Literal["file", "http", "https", "s3", "gs"]
"""Where a video may be; ``file`` is this machine's own file system."""
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

ATTEMPTS = 5
"""Failed attempts in a row without a new byte, and restarts from byte 0 in all, after which a fetch gives
up."""
BLOCK_BYTES = 1 << 20
BACK_OFF_S = (0.1, 0.2, 0.4, 0.8)
"""Waits between attempts; each is drawn between half of the value and all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalVideo:
    """A video as a file that can be read here."""

    path: Path
    display_name: str
    """What its user calls it, without the secrets that an address may contain."""
    checksum: str | None = None
    """xxh3_128 over the fetched bytes, hex; None for a local file."""
    size_bytes: int = 0
    """Fetched bytes."""


def redacted(source: str) -> str:
    """An address without user, password and query, which may contain secrets; a path as it is."""
    if scheme_of(source) == "file":
        return source
    parts = urlsplit(source)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme.lower()}://{host}{port}{parts.path}"


@contextmanager
def fetch_video(
    source: str,
    *,
    limits: VideoLimits,
    timeout_s: float,
    allowed: tuple[Scheme, ...] = SCHEMES,
    stop: threading.Event | None = None,
    private: PrivateSources | None = None,
    roots: tuple[Path, ...] | None = None,
) -> Iterator[LocalVideo]:
    """The video at ``source``, readable while the block runs.

    A download is stored in an unnamed file, which disappears with this process at the latest.

    Args:
        source: a path, or a URI of an allowed scheme.
        limits: bytes that the video may have, and that all copies of this process may take of the disk.
        timeout_s: seconds for the whole fetch: name lookup, connections, headers and bodies together.
        allowed: the schemes that ``source`` may have.
        stop: cancels the fetch when another thread sets it.
        private: hosts that may be read although they are not public. None: all, for a caller who wrote the
            address himself.
        roots: folders that a local file must be in. None: any, for a caller who wrote the path himself.

    Raises:
        VideoError: there is no such video (then from FileNotFoundError), it may not be read, or its address
            is malformed.
        VideoUnreachableError: the connection broke off, or the source is down.
        VideoTooLargeError: the video has more bytes than ``limits`` allow, or than fit on the disk.
        VideoBusyError: other copies occupy the disk.
        VideoTimeoutError: the fetch took longer than ``timeout_s``.
        StoppedError: ``stop`` was set.
    """
    scheme = scheme_of(source)
    display_name = redacted(source)
    if scheme not in allowed:
        raise VideoError(
            f"{display_name} cannot be read: this service does not allow {scheme} sources, only "
            f"{', '.join(allowed)}"
        )
    if scheme == "file" and roots is None:
        path = local_video(source, limits)
        yield LocalVideo(path=path, display_name=str(path))
        return
    if scheme == "file":
        assert roots is not None
        with open_below(source, roots, limits) as (path, name):
            yield LocalVideo(path=path, display_name=name)
        return
    deadline = Deadline(timeout_s, stop)
    with (
        _unnamed_file(display_name) as file,
        COPIES.claim(file.fileno(), display_name, limits.max_disk_share) as claim,
        closing(_byte_source(source, display_name, deadline, private)) as remote,
    ):
        copy = FetchedCopy(file, display_name, limits, claim)
        try:
            _download(copy, remote, deadline)
        except DeadlineExceededError:
            raise _deadline_error(copy, deadline) from None
        remote.close()
        if copy.size == 0:
            raise VideoError(f"{display_name} is empty: it has 0 bytes")
        yield LocalVideo(
            path=Path(f"/proc/self/fd/{file.fileno()}"),
            display_name=display_name,
            checksum=copy.checksum.hexdigest(),
            size_bytes=copy.size,
        )


@contextmanager
def _unnamed_file(display_name: str) -> Iterator[IO[bytes]]:
    """A file in a folder that nobody else can enter (0700), both without a name from the start."""
    try:
        folder = tempfile.mkdtemp(prefix="vbench-fetch-")
        try:
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
        finally:
            Path(folder).rmdir()
    except OSError as error:
        too_many = error.errno in (errno.EMFILE, errno.ENFILE)
        raise VideoBusyError(
            f"{display_name} cannot be fetched: the service cannot create a file for the copy "
            f"({os.strerror(error.errno or errno.EIO).lower()}); "
            + ("try again later" if too_many else "set its TMPDIR to a folder that it can write to")
        ) from error
    try:
        yield file
    finally:
        with suppress(OSError):  # closing writes what a full disk did not accept
            file.close()


def _byte_source(
    source: str, display_name: str, deadline: Deadline, private: PrivateSources | None
) -> ByteSource:
    if scheme_of(source) in ("http", "https"):
        from vbench.video.fetch.http import HttpSource

        return HttpSource(source, display_name, deadline, private)
    from vbench.video.fetch.object_store import ObjectSource

    return ObjectSource(source, display_name, deadline)


def _download(copy: FetchedCopy, remote: ByteSource, deadline: Deadline) -> None:
    """Download all bytes; resume where the source broke off, up to ``ATTEMPTS`` times without progress."""
    failures = 0
    while True:
        before, restarts = copy.size, copy.restarts
        try:
            _read_rest(copy, remote, deadline)
        except InterruptedFetchError as error:
            restarted = copy.restarts > restarts
            failures = 1 if copy.size > before and not restarted else failures + 1
            copy.last_failure = (
                f" (last failure: {'interrupted' if copy.has_started else 'no response'}: {error})"
            )
            if ATTEMPTS in (failures, copy.restarts):
                raise VideoUnreachableError(_gave_up(copy, remote, failures, error)) from error
            copy.check_pace(0)
            deadline.sleep(BACK_OFF_S[failures - 1] * random.uniform(0.5, 1.0))
        else:
            copy.flush()
            return


def _gave_up(copy: FetchedCopy, remote: ByteSource, failures: int, error: Exception) -> str:
    if not copy.has_started:
        return (
            f"{copy.display_name} cannot be fetched: {failures} attempts in a row failed ({error}); check "
            "the address, or try again later"
        )
    total = f" of {remote.size}" if remote.size is not None else ""
    times = f"{failures} times in a row" if failures == ATTEMPTS else f"{copy.restarts} times"
    restarts = "" if failures == ATTEMPTS else ", each time with a restart from the beginning"
    return (
        f"{copy.display_name} was interrupted {times} after {copy.size}{total} bytes{restarts} ({error}): "
        "try again later, or use a nearer copy"
    )


def _read_rest(copy: FetchedCopy, remote: ByteSource, deadline: Deadline) -> None:
    if remote.open_at(copy.size) != copy.size:
        copy.restart()
    copy.has_started = True
    if remote.size is not None:
        copy.check(remote.size)
    while block := remote.read(BLOCK_BYTES):
        copy.append(block)
        if remote.size is not None and copy.size > remote.size:
            raise VideoError(
                f"{copy.display_name} cannot be read: the server announced {remote.size} bytes but sends more"
            )
        deadline.check()
        copy.check_pace(len(block))
    if remote.size is not None and copy.size != remote.size:
        raise InterruptedFetchError("it ended early")


def _deadline_error(copy: FetchedCopy, deadline: Deadline) -> Exception:
    if deadline.stopped:
        return StoppedError(f"{copy.display_name} is no longer wanted")
    return VideoTimeoutError(
        f"{copy.display_name} was not fetched within {deadline.timeout_s:g} s: {copy.size} bytes arrived"
        f"{copy.last_failure}; allow more time, or use a nearer copy"
    )
