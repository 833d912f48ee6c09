"""Reads a file over HTTP from any byte on; tells failures that may pass from those that never will.

No text from a server (reason phrases, banners, error bodies) goes into a message: it would let a stranger see
other machines through the service. A redirect's body is not read, and no content is decoded.
"""

import base64
import http.client
import socket
from http import HTTPStatus
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from vbench.video.addresses import scheme_of
from vbench.video.errors import VideoError
from vbench.video.fetch.byte_source import InterruptedFetchError
from vbench.video.fetch.deadline import Deadline
from vbench.video.fetch.http_body import Body, BrokenBodyError
from vbench.video.fetch.http_connection import (
    DeadlineSocket,
    RefusedAddressError,
    Target,
    connect,
    reason_of,
)
from vbench.video.fetch.http_response import RemoteFile, open_body
from vbench.video.fetch.public_addresses import Address, PrivateSources, is_public
from vbench.video.fetch.tls_socket import TooLongError

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
"""Longest silence of a server in the middle of a response."""
REDIRECTS = 5
"""Most redirects in a row that are followed."""

_REDIRECT = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class _FinalResponse(http.client.HTTPResponse):
    """The response after all informational ones (RFC 9110, 15.2); ``http.client`` skips only 100."""

    def begin(self) -> None:
        """Read heads until one is final; the socket bounds how many bytes they have together."""
        super().begin()
        while 100 <= self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]  # or begin returns at once
            super().begin()


class HttpSource:
    """``ByteSource`` of one address; requests ranges if the server identifies versions (RFC 9110, 13.1.5).

    Args:
        url: the address.
        display_name: the address without secrets, for messages.
        deadline: for everything.
        private: non-public hosts that the address may name; None: any. A redirect to another host or port
            leads to public addresses only, whatever ``private`` says.
    """

    def __init__(
        self, url: str, display_name: str, deadline: Deadline, private: PrivateSources | None
    ) -> None:
        self._url = url
        self._display_name = display_name
        self._deadline = deadline
        self._private = private
        self._socket: DeadlineSocket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._body: Body | None = None
        self._file = RemoteFile()

    @property
    def size(self) -> int | None:
        """Bytes of the file; None if the server does not say."""
        return self._file.size

    def open_at(self, position: int) -> int:
        """Request the file from byte ``position`` on; returns 0 if the server sends all of it instead."""
        headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "vbench"}
        resume_at = position if position and self._file.version else None
        if resume_at is not None:
            headers |= {"Range": f"bytes={position}-", "If-Range": str(self._file.version)}
        url = self._url
        for _ in range(REDIRECTS + 1):
            self.close()
            response = self._get(urlsplit(url), headers)
            if response.status not in _REDIRECT:
                opened = open_body(response, self._display_name, resume_at=resume_at, known=self._file)
                self._body, self._file = opened.body, opened.file
                return opened.start
            url = self._redirect_target(url, response.headers.get("Location"))
        raise VideoError(
            f"{self._display_name} refused: the server redirects more than {REDIRECTS} times in a row"
        )

    def read(self, max_bytes: int) -> bytes:
        """What has arrived, up to ``max_bytes``."""
        assert self._socket is not None, "open_at comes first"
        assert self._body is not None
        try:
            self._socket.await_body()
            block = self._body.read(max_bytes)
        except TooLongError as error:
            raise VideoError(f"{self._display_name} cannot be read: {error}") from error
        except (BrokenBodyError, OSError) as error:
            raise InterruptedFetchError(reason_of(error)) from error
        self._socket.count_body(len(block))
        return block

    def close(self) -> None:
        """Drop the connection, whatever is still on its way."""
        if self._socket is not None:
            self._socket.end()
        if self._response is not None:
            self._response.close()
        self._socket = self._response = self._body = None

    def _get(self, url: SplitResult, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The response to a GET, up to where its body begins."""
        target = self._target(url)
        headers = headers | {"Host": target.authority}
        origin = urlsplit(self._url)
        is_origin = target == self._target(origin)
        # Credentials go to the host that was named with them, and to no other.
        credentials = url if url.username is not None or not is_origin else origin
        if credentials.username is not None:
            login = f"{unquote(credentials.username)}:{unquote(credentials.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        path = quote(url.path or "/", safe=_SAFE) + (f"?{quote(url.query, safe=_SAFE)}" if url.query else "")

        def is_allowed(address: Address, is_own: bool) -> bool:
            named = self._private is None or self._private.include(target.host, address)
            return (is_origin and named) or (is_public(address) and not is_own)

        try:
            self._socket = connect(
                target, is_allowed, self._deadline, connect_s=CONNECT_TIMEOUT_S, silence_s=READ_TIMEOUT_S
            )
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.response_class = _FinalResponse
            connection.sock = self._socket
            connection.request("GET", path, headers=headers)
            self._response = response = connection.getresponse()
        except RefusedAddressError:
            raise VideoError(self._not_public(is_origin=is_origin)) from None
        except (http.client.RemoteDisconnected, OSError) as error:
            raise self._classify(error) from error
        except (http.client.HTTPException, TooLongError) as error:
            raise VideoError(f"{self._display_name} cannot be fetched: {reason_of(error)}") from error
        self._socket.begin_body()
        return response

    def _target(self, url: SplitResult) -> Target:
        name = url.hostname or ""
        try:
            host = name.encode("ascii" if ":" in name else "idna").decode()
        except UnicodeError:
            raise VideoError(
                f"{self._display_name} cannot be fetched: invalid host name; each part between dots must "
                "have 1 to 63 characters"
            ) from None
        if not host or any(ord(letter) <= 32 for letter in host):
            raise VideoError(f"{self._display_name} cannot be fetched: the address names no host")
        if url.port == 0:
            raise VideoError(f"{self._display_name} cannot be fetched: port 0 is invalid; use 1 to 65535")
        secure = url.scheme.lower() == "https"
        return Target(host=host, port=url.port or (443 if secure else 80), secure=secure)

    def _redirect_target(self, url: str, location: str | None) -> str:
        """Where a redirect leads: to HTTP, and to HTTPS if the address before was HTTPS."""
        refused = f"{self._display_name} refused: the server redirects"
        if location is None:
            raise VideoError(f"{refused} without a target; use the address that has the file")
        try:
            target = urljoin(url, quote(location.encode("latin-1", "replace"), safe=_SAFE))
            scheme = scheme_of(target)
        except (VideoError, ValueError):
            raise VideoError(f"{refused} to a malformed address") from None
        if not location or scheme not in ("http", "https"):
            raise VideoError(f"{refused} to something other than http or https")
        if scheme == "http" and scheme_of(url) == "https":
            raise VideoError(f"{refused} from https to http")
        try:
            self._target(urlsplit(target))
        except VideoError:
            raise VideoError(f"{refused} to a malformed address") from None
        return target

    def _not_public(self, *, is_origin: bool) -> str:
        if not is_origin:
            return f"{self._display_name} refused: the server redirects to an address that is not public"
        return (
            f"{self._display_name} refused: its host has no public address; to let the service read from "
            "there, deploy it with the host in private_sources"
        )

    def _classify(self, error: Exception) -> Exception:
        """InterruptedFetchError for a failure that may pass, VideoError for one that never will."""
        reason = reason_of(error)
        if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
            return VideoError(f"{self._display_name} cannot be fetched: unknown host name; check the address")
        if "certificate" in reason:
            return VideoError(f"{self._display_name} cannot be fetched: {reason}")
        return InterruptedFetchError(reason)
