"""Reads an object of S3 or Google Cloud Storage from any byte on, by Arrow's file systems.

An address says *which* object, and nothing else. Where the store is, who asks, and how often, the node's own
environment says: an address comes from a stranger, and one that chose the end point would be sent the node's
credentials.
"""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pyarrow import ArrowException, fs

from vbench.video.errors import VideoError
from vbench.video.fetch.abandonable_call import call
from vbench.video.fetch.byte_source import InterruptedFetchError
from vbench.video.fetch.deadline import Deadline, TimeIsUpError

T = TypeVar("T")

RETRY_LIMIT = timedelta(seconds=10)
"""Google's client tries again by itself, by default for 15 minutes."""

S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Environment variables that name another S3 than Amazon's, as Amazon's own tools read them."""

S3_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,221}")
"""What both stores allow as a bucket's name, and no host and port, user or option."""

_ENDPOINT = re.compile(r"(https?)://([^/?#@\s]+)/?", re.IGNORECASE)

_DENIED = (
    "ACCESS_DENIED",
    "Access Denied",
    "INVALID_ACCESS_KEY_ID",
    "InvalidAccessKeyId",
    "PERMISSION_DENIED",
    "SIGNATURE_DOES_NOT_MATCH",
    "Unauthenticated",
)
"""What the stores' clients call it."""

_AWS_ERROR = re.compile(r"AWS Error ([A-Z_]{1,60}) during ([A-Za-z]{1,40}) operation")


def object_of(uri: str, called: str) -> tuple[str, str]:
    """Bucket and key that a ``s3://`` or ``gs://`` address names; VideoError if it says more than that."""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    if "?" in uri or "#" in uri:
        raise VideoError(
            f"{called} is followed by options, and an address of a store may have none: write "
            f"{scheme}://BUCKET/KEY (with ? and # in a key as %3F and %23); region and end point are taken "
            "from the service's environment"
        )
    if "@" in parts.netloc or ":" in parts.netloc:
        raise VideoError(
            f"{called} names a user or a port, and an address of a store may not: write "
            f"{scheme}://BUCKET/KEY; credentials and end point are taken from the service's environment"
        )
    if not parts.netloc or not parts.path.strip("/"):
        raise VideoError(f"{called} names no object: write {scheme}://BUCKET/KEY")
    key = unquote(parts.path.lstrip("/"))
    if not _BUCKET.fullmatch(parts.netloc) or any(ord(letter) < 32 for letter in uri + key):
        raise VideoError(
            f"{called} names no object: a bucket's name has letters, digits, dots, hyphens and underscores, "
            "3 to 222 of them"
        )
    if {".", ".."} & {*key.split("/")}:
        raise VideoError(
            f"{called} has . or .. as a part of its key, which could lead out of the bucket: write the key "
            "without it"
        )
    return parts.netloc, key


def _s3(bucket: str) -> Any:
    """S3 as the environment names it; Amazon's, in the bucket's own region, if it names none."""
    region = next((os.environ[name] for name in S3_REGIONS if os.environ.get(name)), None)
    given = next((name for name in S3_ENDPOINTS if os.environ.get(name)), None)
    if given is None:
        return fs.S3FileSystem(region=fs.resolve_s3_region(bucket))
    endpoint = _ENDPOINT.fullmatch(os.environ[given].strip())
    if endpoint is None:
        raise VideoError(
            f"{given} of the service's environment is not a URL such as https://minio.example:9000"
        )
    return fs.S3FileSystem(
        scheme=endpoint[1].lower(), endpoint_override=endpoint[2], region=region or "us-east-1"
    )


class StoreReader:
    """``Reader`` of one object. Credentials, region and end point come from the environment, as the store's
    own tools take them; nothing of them from the address.

    Arrow's calls cannot be interrupted. One that runs when the deadline passes is left to itself: its thread
    ends when Arrow gives up, and what it used is not touched any more.
    """

    def __init__(self, uri: str, called: str, deadline: Deadline) -> None:
        self._bucket, key = object_of(uri, called)
        self._key = f"{self._bucket}/{key}"
        self._scheme = urlsplit(uri).scheme.lower()
        self._called = called
        self._deadline = deadline
        self._left_alone = False
        self._store: Any = None
        self._file: Any = None
        self._version: tuple[Any, ...] | None = None
        self.size: int | None = None

    def begin(self, at: int) -> int:
        """Open the object, and make sure that it is still the same."""
        self.close()
        self._call(lambda: self._open(at))
        return at

    def _open(self, at: int) -> None:
        try:
            if self._store is None:
                google = self._scheme == "gs"
                self._store = fs.GcsFileSystem(retry_time_limit=RETRY_LIMIT) if google else _s3(self._bucket)
            if self._store.get_file_info(self._key).type != fs.FileType.File:
                raise FileNotFoundError(self._key)
            self._file = self._same()
            self._file.seek(at)
        except (OSError, ArrowException) as error:
            raise self._kind(error) from error

    def read(self, most: int) -> bytes:
        """The next bytes. Each read asks for a range of what the object is then, so at the end it must still
        be what it was."""
        return self._call(lambda: self._read(most))

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return call(work, self._deadline, "store")
        except TimeIsUpError:
            self._left_alone = True
            raise

    def _read(self, most: int) -> bytes:
        try:
            block: bytes = self._file.read(most)
            if not block:
                self._same().close()
        except (OSError, ArrowException) as error:
            raise self._kind(error) from error
        return block

    def _same(self) -> Any:
        """The object, opened anew; VideoError where it is not what it was."""
        file = self._store.open_input_file(self._key)
        told = file.metadata() or {}
        version = (file.size(), *(told.get(name) for name in ("ETag", "Last-Modified", "generation")))
        if self._version not in (None, version):
            file.close()
            raise VideoError(f"{self._called} changed while it was read: leave it as it is, and try again")
        self._version, self.size = version, file.size()
        return file

    def close(self) -> None:
        """Close the object."""
        if self._file is not None and not self._left_alone:
            self._file.close()
        self._file = None

    def _kind(self, error: Exception) -> Exception:
        """What may come yet as InterruptedFetchError, what never will as VideoError; in words of our own."""
        if isinstance(error, ArrowException) and not isinstance(error, OSError):
            return VideoError(f"{self._called} is no address of a store: check its bucket and key")
        if isinstance(error, FileNotFoundError):
            return VideoError(f"{self._called} cannot be read: there is no such object")
        if any(word in str(error) for word in _DENIED):
            return VideoError(
                f"{self._called} cannot be read: access denied; give the service credentials for it"
            )
        found = _AWS_ERROR.search(str(error))
        reason = f"{found[1]} during {found[2]}" if found else "its store gave no answer"
        return InterruptedFetchError(reason)
