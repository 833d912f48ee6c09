"""Reads an object of S3 or Google Cloud Storage from any byte on, with Arrow's file systems.

An address only names the object. Endpoint, credentials and retries come from the node's environment: an
address comes from a stranger, and if it could choose the endpoint, the node's credentials would be sent
there.
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
from vbench.video.fetch.deadline import Deadline, DeadlineExceededError

T = TypeVar("T")

RETRY_LIMIT = timedelta(seconds=10)
"""How long Google's client retries; its default is 15 minutes."""

S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Environment variables that name another S3 endpoint than Amazon's, as in Amazon's own tools."""

S3_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,221}")
"""Bucket names that both stores allow; matches no host with port, user or option."""

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
"""How the stores' clients report denied access."""

_AWS_ERROR = re.compile(r"AWS Error ([A-Z_]{1,60}) during ([A-Za-z]{1,40}) operation")


def object_of(uri: str, display_name: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` or ``gs://`` address; VideoError if it contains anything else."""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    if "?" in uri or "#" in uri:
        raise VideoError(
            f"{display_name} contains options, which an object's address may not: write "
            f"{scheme}://BUCKET/KEY (with ? and # in a key as %3F and %23); region and endpoint come from "
            "the service's environment"
        )
    if "@" in parts.netloc or ":" in parts.netloc:
        raise VideoError(
            f"{display_name} contains a user or a port, which an object's address may not: write "
            f"{scheme}://BUCKET/KEY; credentials and endpoint come from the service's environment"
        )
    if not parts.netloc or not parts.path.strip("/"):
        raise VideoError(f"{display_name} names no object: write {scheme}://BUCKET/KEY")
    key = unquote(parts.path.lstrip("/"))
    if not _BUCKET.fullmatch(parts.netloc) or any(ord(letter) < 32 for letter in uri + key):
        raise VideoError(
            f"{display_name} names no object: a bucket name has 3 to 222 letters, digits, dots, hyphens and "
            "underscores"
        )
    if {".", ".."} & {*key.split("/")}:
        raise VideoError(
            f"{display_name} has . or .. as a part of its key, which could lead out of the bucket: remove "
            "that part"
        )
    return parts.netloc, key


def _s3(bucket: str) -> Any:
    """The S3 endpoint that the environment names; else Amazon's, in the bucket's region."""
    region = next((os.environ[name] for name in S3_REGIONS if os.environ.get(name)), None)
    variable = next((name for name in S3_ENDPOINTS if os.environ.get(name)), None)
    if variable is None:
        return fs.S3FileSystem(region=fs.resolve_s3_region(bucket))
    endpoint = _ENDPOINT.fullmatch(os.environ[variable].strip())
    if endpoint is None:
        raise VideoError(
            f"{variable} in the service's environment is not a URL like https://minio.example:9000"
        )
    return fs.S3FileSystem(
        scheme=endpoint[1].lower(), endpoint_override=endpoint[2], region=region or "us-east-1"
    )


class ObjectSource:
    """``ByteSource`` of one object.

    Arrow's calls cannot be interrupted. A call that runs when the deadline passes is abandoned: its thread
    ends when Arrow gives up, and the objects that it uses are not touched any more.

    Args:
        uri: ``s3://BUCKET/KEY`` or ``gs://BUCKET/KEY``.
        display_name: the address, for messages.
        deadline: for everything.
    """

    def __init__(self, uri: str, display_name: str, deadline: Deadline) -> None:
        self._bucket, key = object_of(uri, display_name)
        self._key = f"{self._bucket}/{key}"
        self._scheme = urlsplit(uri).scheme.lower()
        self._display_name = display_name
        self._deadline = deadline
        self._is_abandoned = False
        self._store: Any = None
        self._file: Any = None
        self._version: tuple[Any, ...] | None = None
        self.size: int | None = None

    def open_at(self, position: int) -> int:
        """Open the object at byte ``position``, and check that it is still the same."""
        self.close()
        self._call(lambda: self._open(position))
        return position

    def _open(self, position: int) -> None:
        try:
            if self._store is None:
                google = self._scheme == "gs"
                self._store = fs.GcsFileSystem(retry_time_limit=RETRY_LIMIT) if google else _s3(self._bucket)
            if self._store.get_file_info(self._key).type != fs.FileType.File:
                raise FileNotFoundError(self._key)
            self._file = self._unchanged()
            self._file.seek(position)
        except (OSError, ArrowException) as error:
            raise self._classify(error) from error

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, at most ``max_bytes``; at the end, checks that the object has not changed
        meanwhile."""
        return self._call(lambda: self._read(max_bytes))

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return call(work, self._deadline, "store")
        except DeadlineExceededError:
            self._is_abandoned = True
            raise

    def _read(self, max_bytes: int) -> bytes:
        try:
            block: bytes = self._file.read(max_bytes)
            if not block:
                self._unchanged().close()
        except (OSError, ArrowException) as error:
            raise self._classify(error) from error
        return block

    def _unchanged(self) -> Any:
        """The object, opened again; VideoError if it has changed."""
        file = self._store.open_input_file(self._key)
        metadata = file.metadata() or {}
        version = (file.size(), *(metadata.get(name) for name in ("ETag", "Last-Modified", "generation")))
        if self._version not in (None, version):
            file.close()
            raise VideoError(
                f"{self._display_name} changed while it was being read: try again when it is final"
            )
        self._version, self.size = version, file.size()
        return file

    def close(self) -> None:
        """Close the object."""
        if self._file is not None and not self._is_abandoned:
            self._file.close()
        self._file = None

    def _classify(self, error: Exception) -> Exception:
        """InterruptedFetchError for a failure that may pass, VideoError for one that never will; in our own
        words."""
        if isinstance(error, ArrowException) and not isinstance(error, OSError):
            return VideoError(f"{self._display_name} is not a valid object address: check its bucket and key")
        if isinstance(error, FileNotFoundError):
            return VideoError(f"{self._display_name} cannot be read: there is no such object")
        if any(word in str(error) for word in _DENIED):
            return VideoError(
                f"{self._display_name} cannot be read: access denied; give the service credentials for it"
            )
        stated = _AWS_ERROR.search(str(error))
        reason = f"{stated[1]} during {stated[2]}" if stated else "the store did not respond"
        return InterruptedFetchError(reason)
