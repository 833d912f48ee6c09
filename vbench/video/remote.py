"""Brings a video that lies elsewhere (HTTP, S3, Google Cloud Storage) to a file of this process."""

import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, get_args
from urllib.parse import parse_qsl, urlsplit

import xxhash

from vbench.video.errors import (
    StoppedError,
    VideoError,
    VideoTimeoutError,
    VideoTooLargeError,
    VideoUnreachableError,
)
from vbench.video.source import local_video, scheme_of
from vbench.video.types import VideoLimits

Scheme = Literal["file", "http", "https", "s3", "gs"]
"""Where a video may lie; ``file`` is this machine's own file system."""
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

ATTEMPTS = 5
"""Times in a row that a source may break off without having given a byte more."""
BLOCK_BYTES = 1 << 20
BACK_OFF_S = (0.1, 0.2, 0.4, 0.8)
"""Waits between attempts, each drawn anew between half of it and all of it."""


class InterruptedFetchError(Exception):
    """The source broke off or is busy: what is missing may come yet."""


class Reader(Protocol):
    """One source, read from any byte on; each method raises InterruptedFetchError, or VideoError for good."""

    size: int | None
    """Bytes of the whole, once begun; None where the source does not say."""

    def begin(self, at: int) -> int:
        """Get ready to read from byte ``at`` on; where it begins, which is 0 where it cannot begin there."""

    def read(self, most: int) -> bytes:
        """The next bytes, ``most`` at most, as soon as there are some; none at the end."""

    def close(self) -> None:
        """Let go of it."""


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
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme.lower()}://{parts.hostname or ''}{port}{parts.path}"


def without_secrets(reason: str, source: str) -> str:
    """What another library says of a source, unless it says what ``shown`` leaves out."""
    parts = urlsplit(source)
    secret = [parts.username, parts.password, parts.query, parts.fragment]
    secret += [value for _, value in parse_qsl(parts.query)]
    plain = reason.replace(source, shown(source))
    return "its address is not as it should be" if any(s and s in plain for s in secret) else plain


@contextmanager
def fetched(
    source: str,
    *,
    limits: VideoLimits,
    timeout_s: float,
    allowed: tuple[Scheme, ...] = SCHEMES,
    stop: threading.Event | None = None,
) -> Iterator[Local]:
    """The video at ``source`` (a path, or a URI of an allowed scheme) while the block runs.

    What is fetched lies in an unnamed file, which is gone with this process at the latest.

    Raises:
        VideoError: there is no such video (then from FileNotFoundError), it may not be read, or its address
            is none.
        VideoUnreachableError: it broke off, or its source is down.
        VideoTooLargeError: it has more bytes than ``limits`` allow.
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
    if scheme == "file":
        yield Local(path=local_video(source, limits), called=called)
        return
    with tempfile.TemporaryFile() as file, closing(_reader(source, called)) as reader:
        copy = _Copy(file, called, limits)
        _fill(copy, reader, time.monotonic() + timeout_s, timeout_s, stop or threading.Event())
        reader.close()
        if copy.size == 0:
            raise VideoError(f"{called} is empty: it has 0 bytes")
        yield Local(
            path=Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"),
            called=called,
            checksum=copy.checksum.hexdigest(),
            size_bytes=copy.size,
        )


def _reader(source: str, called: str) -> Reader:
    if scheme_of(source) in ("http", "https"):
        from vbench.video.remote_http import HttpReader

        return HttpReader(source, called)
    from vbench.video.remote_store import StoreReader

    return StoreReader(source, called)


class _Copy:
    """The bytes so far."""

    def __init__(self, file: IO[bytes], called: str, limits: VideoLimits) -> None:
        self._file = file
        self._limits = limits
        self.called = called
        self.size = 0
        self.checksum = xxhash.xxh3_128()
        self.trouble = ""
        """Why the source broke off last."""

    def check(self, size: int) -> None:
        """VideoTooLargeError for a size that is not allowed."""
        if size > self._limits.max_size_bytes:
            raise VideoTooLargeError(
                f"{self.called} is too large: it has {size} bytes or more, "
                f"{self._limits.max_size_bytes} are allowed"
            )

    def restart(self) -> None:
        """Forget all of them."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self.checksum.reset()

    def append(self, block: bytes) -> None:
        """Add to them."""
        self.check(self.size + len(block))
        self._file.write(block)
        self.checksum.update(block)
        self.size += len(block)


def _fill(copy: _Copy, reader: Reader, deadline_s: float, timeout_s: float, stop: threading.Event) -> None:
    """All bytes, going on where the source broke off, up to ``ATTEMPTS`` times without any progress."""
    failed = 0
    while True:
        before = copy.size
        try:
            _read_on(copy, reader, deadline_s, timeout_s, stop)
        except InterruptedFetchError as error:
            failed = 1 if copy.size > before else failed + 1
            copy.trouble = f" (it broke off: {error})"
            if failed == ATTEMPTS:
                of = f" of {reader.size}" if reader.size is not None else ""
                raise VideoUnreachableError(
                    f"{copy.called} broke off {failed} times in a row after {copy.size}{of} bytes ({error}): "
                    "try again later, or give a copy that lies nearer"
                ) from error
            _wait(BACK_OFF_S[failed - 1] * random.uniform(0.5, 1.0), copy, deadline_s, timeout_s, stop)
        else:
            copy._file.flush()
            return


def _read_on(copy: _Copy, reader: Reader, deadline_s: float, timeout_s: float, stop: threading.Event) -> None:
    if reader.begin(copy.size) != copy.size:
        copy.restart()
    if reader.size is not None:
        copy.check(reader.size)
    while block := reader.read(BLOCK_BYTES):
        copy.append(block)
        _wait(0.0, copy, deadline_s, timeout_s, stop)
    if reader.size is not None and copy.size != reader.size:
        raise InterruptedFetchError("it ended before its end")


def _wait(seconds: float, copy: _Copy, deadline_s: float, timeout_s: float, stop: threading.Event) -> None:
    """So long, unless nobody wants the video any more or the time is up."""
    left_s = deadline_s - time.monotonic()
    if stop.wait(max(0.0, min(seconds, left_s))):
        raise StoppedError(f"{copy.called} is no longer wanted")
    if left_s <= seconds:
        raise VideoTimeoutError(
            f"{copy.called} was not here within {timeout_s:g} s, {copy.size} bytes of it were{copy.trouble}: "
            "allow more time, or give a copy that lies nearer"
        )
