"""Reads an object of S3 or Google Cloud Storage from any byte on, by Arrow's file systems."""

from typing import Any
from urllib.parse import urlsplit

from pyarrow import ArrowException, fs

from vbench.errors import first_line
from vbench.video.errors import VideoError
from vbench.video.remote import InterruptedFetchError, without_secrets

RETRY_LIMIT_S = 10
"""Google's client tries again by itself, by default for 15 minutes."""

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


class StoreReader:
    """``Reader`` of one object. Credentials, region and end point come from the environment, as the store's
    own tools take them, or from the URI's query, see ``pyarrow.fs.FileSystem.from_uri``."""

    def __init__(self, uri: str, called: str) -> None:
        parts = urlsplit(uri)
        if not parts.hostname or not parts.path.strip("/"):
            raise VideoError(f"{called} names no object: write {parts.scheme}://BUCKET/KEY")
        if parts.scheme.lower() == "gs" and "retry_limit_seconds" not in parts.query:
            uri += f"{'&' if parts.query else '?'}retry_limit_seconds={RETRY_LIMIT_S}"
        self._uri = uri
        self._called = called
        self._store: Any = None
        self._key = ""
        self._file: Any = None
        self._version: tuple[Any, ...] | None = None
        self.size: int | None = None

    def begin(self, at: int) -> int:
        """Open the object, and make sure that it is still the same."""
        self.close()
        try:
            self._store, self._key = fs.FileSystem.from_uri(self._uri)
            if self._store.get_file_info(self._key).type != fs.FileType.File:
                raise FileNotFoundError(self._key)
            self._file = self._same()
            self._file.seek(at)
        except (OSError, ArrowException) as error:
            raise self._kind(error) from error
        return at

    def read(self, most: int) -> bytes:
        """The next bytes. Each read asks for a range of what the object is then, so at the end it must still
        be what it was."""
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
        if self._file is not None:
            self._file.close()
        self._file = None

    def _kind(self, error: Exception) -> Exception:
        """What may come yet as InterruptedFetchError, what never will as VideoError."""
        reason = without_secrets(first_line(error), self._uri)[:300]
        if isinstance(error, ArrowException) and not isinstance(error, OSError):
            return VideoError(f"{self._called} is no address of a store: {reason}")
        if isinstance(error, FileNotFoundError):
            return VideoError(f"{self._called} cannot be read: there is no such object")
        if any(word in str(error) for word in _DENIED):
            return VideoError(f"{self._called} cannot be read: access denied; give credentials for it")
        return InterruptedFetchError(reason)
