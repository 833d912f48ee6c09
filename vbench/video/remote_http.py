"""Reads a file over HTTP from any byte on, and tells what may come yet from what never will."""

import re
from http import HTTPStatus

import requests
import urllib3

from vbench.errors import first_line, innermost
from vbench.video.errors import VideoError
from vbench.video.remote import InterruptedFetchError, without_secrets
from vbench.video.source import scheme_of

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
"""Longest silence of a server in the middle of an answer."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class HttpReader:
    """``Reader`` of one address; asks for ranges where the server tells versions apart (RFC 9110, 13.1.5)."""

    def __init__(self, url: str, called: str) -> None:
        self._url = url
        self._called = called
        self._session = requests.Session()
        self._response: requests.Response | None = None
        self._version: str | None = None
        """Strong ETag of what was read; without one nothing proves that a later part is of the same."""
        self.size: int | None = None

    def begin(self, at: int) -> int:
        """Ask for the rest; 0 where the server sends all of it instead."""
        self._drop()
        headers = {"Accept-Encoding": "identity"}
        if at and self._version:
            headers |= {"Range": f"bytes={at}-", "If-Range": self._version}
        try:
            self._response = self._session.get(
                self._url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise InterruptedFetchError(self._reason(error)) from error
        except requests.RequestException as error:
            raise VideoError(f"{self._called} cannot be asked for: {self._reason(error)}") from error
        self._check_hops(self._response)
        return self._begun(self._response, at)

    def read(self, most: int) -> bytes:
        """What has come, ``most`` bytes at most."""
        assert self._response is not None, "begin comes first"
        try:
            block: bytes = self._response.raw.read1(most)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise InterruptedFetchError(self._reason(error)) from error
        return block

    def close(self) -> None:
        """End the connection."""
        self._drop()
        self._session.close()

    def _check_hops(self, response: requests.Response) -> None:
        """An address that begins in private stays so."""
        hops = [each.url for each in (*response.history, response)]
        if scheme_of(self._url) == "https" and any(scheme_of(hop) != "https" for hop in hops):
            raise VideoError(f"{self._called} cannot be asked for: its server sends on to plain http")

    def _reason(self, error: BaseException) -> str:
        """The innermost reason, without objects and secrets."""
        return without_secrets(first_line(innermost(error)), self._url)

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response = None

    def _begun(self, response: requests.Response, at: int) -> int:
        status = response.status_code
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise VideoError(f"{self._called} cannot be read: HTTP {status}") from FileNotFoundError()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY:
            raise InterruptedFetchError(f"HTTP {status}")
        if status == HTTPStatus.PARTIAL_CONTENT:
            return self._resumed(response, at)
        if status != HTTPStatus.OK:
            raise VideoError(f"{self._called} cannot be read: HTTP {status} {response.reason}")
        etag = response.headers.get("ETag", "")
        self._version = etag if etag.startswith('"') else None
        length = response.headers.get("Content-Length", "")
        self.size = int(length) if length.isdecimal() else None
        return 0

    def _resumed(self, response: requests.Response, at: int) -> int:
        given = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(given)
        same = response.headers.get("ETag", self._version) == self._version
        if found is None or int(found[1]) != at or not same:
            raise VideoError(
                f"{self._called} cannot be read on from byte {at}: its server answered with "
                f"{given or 'no range'}"
            )
        if found[3] != "*" and self.size is not None and int(found[3]) != self.size:
            raise VideoError(
                f"{self._called} changed while it was read: it had {self.size} bytes, and now {found[3]}"
            )
        return at
