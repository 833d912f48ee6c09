"""Brings a video that lies elsewhere (HTTP, S3, Google Cloud Storage) to a file of this process."""

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
from vbench.video.fetch.byte_source import InterruptedFetchError, Reader
from vbench.video.fetch.deadline import Deadline, TimeIsUpError
from vbench.video.fetch.disk_room import COPIES
from vbench.video.fetch.fetched_copy import FetchedCopy as _Copy
from vbench.video.fetch.local_files import opened_below
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.types import VideoLimits

Scheme = Literal["file", "http", "https", "s3", "gs"]
"""Where a video may lie; ``file`` is this machine's own file system."""
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

ATTEMPTS = 5
"""Times in a row that a source may break off without having given a byte more, and times in all that it may
have to be read from its beginning again."""
BLOCK_BYTES = 1 << 20
BACK_OFF_S = (0.1, 0.2, 0.4, 0.8)
"""Waits between attempts, each drawn anew between half of it and all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A video as a file that can be read here."""

    path: Path
    called: str
    """What its user calls it, without what may be secret in an address."""
    checksum: str | None = None
    """xxh3_128 over the bytes that were fetched, hex; None for a file that was here."""
    size_bytes: int = 0
    """Bytes that were fetched."""


def shown(source: str) -> str:
    """An address without user, password and query, which may hold keys; a path as it is."""
    if scheme_of(source) == "file":
        return source
    parts = urlsplit(source)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme.lower()}://{host}{port}{parts.path}"


@contextmanager
def fetched(
    source: str,
    *,
    limits: VideoLimits,
    timeout_s: float,
    allowed: tuple[Scheme, ...] = SCHEMES,
    stop: threading.Event | None = None,
    private: PrivateSources | None = None,
    roots: tuple[Path, ...] | None = None,
) -> Iterator[Local]:
    """The video at ``source`` (a path, or a URI of an allowed scheme) while the block runs.

    What is fetched lies in an unnamed file, which is gone with this process at the latest.

    Args:
        source: what names it.
        limits: bytes it may have, and what it and the other copies of this process may take of the disk.
        timeout_s: seconds until all of it must be here: names, connections, headers and bodies together.
        allowed: the schemes it may have.
        stop: ends the fetch when another thread sets it.
        private: hosts that are not public and may be asked all the same. None: all; for a caller who wrote
            the address himself.
        roots: folders that a local file must lie in. None: any; for a caller who wrote the path himself.

    Raises:
        VideoError: there is no such video (then from FileNotFoundError), it may not be read, or its address
            is none.
        VideoUnreachableError: it broke off, or its source is down.
        VideoTooLargeError: it has more bytes than ``limits`` allow, or than the disk has room for.
        VideoBusyError: other copies have the room on the disk.
        VideoTimeoutError: it was not here within ``timeout_s``.
        StoppedError: ``stop`` was set.
    """
    scheme = scheme_of(source)
    called = shown(source)
    if scheme not in allowed:
        raise VideoError(
            f"{called} cannot be read: {scheme} is not among the sources that this service allows "
            f"({', '.join(allowed)})"
        )
    if scheme == "file" and roots is None:
        path = local_video(source, limits)
        yield Local(path=path, called=str(path))
        return
    if scheme == "file":
        assert roots is not None
        with opened_below(source, roots, limits) as (path, name):
            yield Local(path=path, called=name)
        return
    deadline = Deadline(timeout_s, stop)
    with (
        _unnamed_file(called) as file,
        COPIES.copy(file.fileno(), called, limits.max_disk_share) as room,
        closing(_reader(source, called, deadline, private)) as reader,
    ):
        copy = _Copy(file, called, limits, room)
        try:
            _fill(copy, reader, deadline)
        except TimeIsUpError:
            raise _ended(copy, deadline) from None
        reader.close()
        if copy.size == 0:
            raise VideoError(f"{called} is empty: it has 0 bytes")
        yield Local(
            path=Path(f"/proc/self/fd/{file.fileno()}"),
            called=called,
            checksum=copy.checksum.hexdigest(),
            size_bytes=copy.size,
        )


@contextmanager
def _unnamed_file(called: str) -> Iterator[IO[bytes]]:
    """A file in a folder that nobody else can enter (0700), both without a name from the beginning on."""
    try:
        folder = tempfile.mkdtemp(prefix="vbench-fetch-")
        try:
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
        finally:
            Path(folder).rmdir()
    except OSError as error:
        many = error.errno in (errno.EMFILE, errno.ENFILE)
        raise VideoBusyError(
            f"{called} cannot be fetched: the service can make no file for a copy "
            f"({os.strerror(error.errno or errno.EIO).lower()}); "
            + ("try again later" if many else "set its TMPDIR to a folder that it may write to")
        ) from error
    try:
        yield file
    finally:
        with suppress(OSError):  # closing writes what a full disk did not take
            file.close()


def _reader(source: str, called: str, deadline: Deadline, private: PrivateSources | None) -> Reader:
    if scheme_of(source) in ("http", "https"):
        from vbench.video.fetch.http import HttpReader

        return HttpReader(source, called, deadline, private)
    from vbench.video.fetch.object_store import StoreReader

    return StoreReader(source, called, deadline)


def _fill(copy: _Copy, reader: Reader, deadline: Deadline) -> None:
    """All bytes, going on where the source broke off, up to ``ATTEMPTS`` times without any progress."""
    failed = 0
    while True:
        before, restarts = copy.size, copy.restarts
        try:
            _read_on(copy, reader, deadline)
        except InterruptedFetchError as error:
            restarted = copy.restarts > restarts
            failed = 1 if copy.size > before and not restarted else failed + 1
            copy.trouble = f" (it {'broke off' if copy.begun else 'cannot be asked for'}: {error})"
            if ATTEMPTS in (failed, copy.restarts):
                raise VideoUnreachableError(_given_up(copy, reader, failed, error)) from error
            copy.check_pace(0)
            deadline.sleep(BACK_OFF_S[failed - 1] * random.uniform(0.5, 1.0))
        else:
            copy.flush()
            return


def _given_up(copy: _Copy, reader: Reader, failed: int, error: Exception) -> str:
    if not copy.begun:
        return (
            f"{copy.called} cannot be asked for: {failed} attempts in a row failed ({error}); check its "
            "address, or try again later"
        )
    of = f" of {reader.size}" if reader.size is not None else ""
    times = f"{failed} times in a row" if failed == ATTEMPTS else f"{copy.restarts} times"
    again = "" if failed == ATTEMPTS else ", and each time had to be read from its beginning again"
    return (
        f"{copy.called} broke off {times} after {copy.size}{of} bytes{again} ({error}): try again later, "
        "or give a copy that lies nearer"
    )


def _read_on(copy: _Copy, reader: Reader, deadline: Deadline) -> None:
    if reader.begin(copy.size) != copy.size:
        copy.restart()
    copy.begun = True
    if reader.size is not None:
        copy.check(reader.size)
    while block := reader.read(BLOCK_BYTES):
        copy.append(block)
        if reader.size is not None and copy.size > reader.size:
            raise VideoError(
                f"{copy.called} cannot be read: its server announced {reader.size} bytes, and sends more"
            )
        deadline.check()
        copy.check_pace(len(block))
    if reader.size is not None and copy.size != reader.size:
        raise InterruptedFetchError("it ended before its end")


def _ended(copy: _Copy, deadline: Deadline) -> Exception:
    """Why the time was up."""
    if deadline.stopped:
        return StoppedError(f"{copy.called} is no longer wanted")
    return VideoTimeoutError(
        f"{copy.called} was not here within {deadline.timeout_s:g} s, {copy.size} bytes of it were"
        f"{copy.trouble}: allow more time, or give a copy that lies nearer"
    )
