"""Reads a file over HTTP from any byte on, and tells what may come yet from what never will.

Nothing of what a server writes (reason phrases, banners, bodies of errors) goes into a message: it would make
the service somebody's eyes on other machines. A redirect's body is not read, and no content is decoded.
"""

import base64
import http.client
import re
import socket
from http import HTTPStatus
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from vbench.video.addresses import scheme_of
from vbench.video.errors import VideoError
from vbench.video.fetch.byte_source import InterruptedFetchError
from vbench.video.fetch.deadline import Deadline
from vbench.video.fetch.http_body import (
    Body,
    BrokenBodyError,
    UnclearBodyError,
    check_fields,
    is_chunked,
    length_of,
    tokens,
)
from vbench.video.fetch.http_connection import (
    PatientSocket,
    RefusedAddressError,
    Target,
    connect,
    reason_of,
)
from vbench.video.fetch.public_addresses import Address, PrivateSources, is_public
from vbench.video.fetch.tls_socket import TooLongError

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
"""Longest silence of a server in the middle of an answer."""
REDIRECTS = 5
"""Most redirects in a row that are followed."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_MOVED = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class _FinalResponse(http.client.HTTPResponse):
    """The response after all informational ones (RFC 9110, 15.2); ``http.client`` skips 100 alone."""

    def begin(self) -> None:
        """Read heads until one is final; the socket bounds how many bytes they have together."""
        super().begin()
        while 100 <= self.status < 200 and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]  # or begin returns at once
            super().begin()


class HttpReader:
    """``Reader`` of one address; asks for ranges where the server tells versions apart (RFC 9110, 13.1.5).

    ``private``: which hosts the address may name that are not public; None: any. A redirect to another host
    or port leads to public addresses only, whatever ``private`` says.
    """

    def __init__(self, url: str, called: str, deadline: Deadline, private: PrivateSources | None) -> None:
        self._url = url
        self._called = called
        self._deadline = deadline
        self._private = private
        self._socket: PatientSocket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._body: Body | None = None
        self._version: str | None = None
        """Strong ETag of what was read; without one nothing proves that a later part is of the same."""
        self.size: int | None = None

    def begin(self, at: int) -> int:
        """Ask for the rest; 0 where the server sends all of it instead."""
        headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "vbench"}
        ranged = bool(at and self._version)
        if ranged:
            headers |= {"Range": f"bytes={at}-", "If-Range": str(self._version)}
        url = self._url
        for _ in range(REDIRECTS + 1):
            self.close()
            response = self._ask(urlsplit(url), headers)
            if response.status not in _MOVED:
                return self._begun(response, at if ranged else None)
            url = self._next(url, response.headers.get("Location"))
        raise VideoError(
            f"{self._called} cannot be asked for: its server sends on more than {REDIRECTS} times in a row"
        )

    def read(self, most: int) -> bytes:
        """What has come, ``most`` bytes at most."""
        assert self._socket is not None, "begin comes first"
        assert self._body is not None
        try:
            self._socket.await_body()
            block = self._body.read(most)
        except TooLongError as error:
            raise VideoError(f"{self._called} cannot be read: {error}") from error
        except (BrokenBodyError, OSError) as error:
            raise InterruptedFetchError(reason_of(error)) from error
        self._socket.count_body(len(block))
        return block

    def close(self) -> None:
        """End the connection, whatever is still to come on it."""
        if self._socket is not None:
            self._socket.end()
        if self._response is not None:
            self._response.close()
        self._socket = self._response = self._body = None

    def _ask(self, url: SplitResult, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The response to a GET, up to where its body begins."""
        target = self._target(url)
        headers = headers | {"Host": target.authority}
        origin = urlsplit(self._url)
        first = target == self._target(origin)
        # Who asks goes to the host that was named with it, and to no other.
        asker = url if url.username is not None or not first else origin
        if asker.username is not None:
            name = f"{unquote(asker.username)}:{unquote(asker.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(name.encode()).decode()}"
        path = quote(url.path or "/", safe=_SAFE) + (f"?{quote(url.query, safe=_SAFE)}" if url.query else "")

        def may(address: Address, own: bool) -> bool:
            named = self._private is None or self._private.include(target.host, address)
            return (first and named) or (is_public(address) and not own)

        try:
            self._socket = connect(
                target, may, self._deadline, connect_s=CONNECT_TIMEOUT_S, silence_s=READ_TIMEOUT_S
            )
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.response_class = _FinalResponse
            connection.sock = self._socket
            connection.request("GET", path, headers=headers)
            self._response = response = connection.getresponse()
        except RefusedAddressError:
            raise VideoError(self._refused(first)) from None
        except (http.client.RemoteDisconnected, OSError) as error:
            raise self._kind(error) from error
        except (http.client.HTTPException, TooLongError) as error:
            raise VideoError(f"{self._called} cannot be asked for: {reason_of(error)}") from error
        self._socket.begin_body()
        return response

    def _target(self, url: SplitResult) -> Target:
        name = url.hostname or ""
        try:
            host = name.encode("ascii" if ":" in name else "idna").decode()
        except UnicodeError:
            raise VideoError(
                f"{self._called} cannot be asked for: its host has no valid name; the parts between dots "
                "have 1 to 63 characters"
            ) from None
        if not host or any(ord(letter) <= 32 for letter in host):
            raise VideoError(f"{self._called} cannot be asked for: it names no host")
        if url.port == 0:
            raise VideoError(f"{self._called} cannot be asked for: it names port 0; ports are 1 to 65535")
        secure = url.scheme.lower() == "https"
        return Target(host=host, port=url.port or (443 if secure else 80), secure=secure)

    def _next(self, url: str, location: str | None) -> str:
        """Where a redirect leads: HTTP, and encrypted if the address before was."""
        beyond = f"{self._called} cannot be asked for: its server sends on"
        if location is None:
            raise VideoError(f"{beyond} without saying where to; give the address that has the file")
        try:
            there = urljoin(url, quote(location.encode("latin-1", "replace"), safe=_SAFE))
            scheme = scheme_of(there)
        except (VideoError, ValueError):
            raise VideoError(f"{beyond} to what is no address") from None
        if not location or scheme not in ("http", "https"):
            raise VideoError(f"{beyond} to what is neither http nor https")
        if scheme == "http" and scheme_of(url) == "https":
            raise VideoError(f"{beyond} to plain http")
        try:
            self._target(urlsplit(there))
        except VideoError:
            raise VideoError(f"{beyond} to what is no address") from None
        return there

    def _refused(self, first: bool) -> str:
        if not first:
            return f"{self._called} cannot be asked for: its server sends on to an address that is not public"
        return (
            f"{self._called} cannot be asked for: its host is not at a public address; if the service is "
            "meant to read from there, deploy it with the host in private_sources"
        )

    def _kind(self, error: Exception) -> Exception:
        """What may come yet as InterruptedFetchError, what never will as VideoError."""
        reason = reason_of(error)
        if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
            return VideoError(
                f"{self._called} cannot be asked for: the name of its host is not known; check the address"
            )
        if "certificate" in reason:
            return VideoError(f"{self._called} cannot be asked for: {reason}")
        return InterruptedFetchError(reason)

    def _begun(self, response: http.client.HTTPResponse, resumed: int | None) -> int:
        """Which byte the body begins at; ``resumed``: which one the server was asked to go on from."""
        status = response.status
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise VideoError(f"{self._called} cannot be read: HTTP {status}") from FileNotFoundError()
        if 500 <= status < 600 or status in _BUSY:
            raise InterruptedFetchError(f"HTTP {status}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise VideoError(
                f"{self._called} cannot be read: HTTP {status}, its server denies access; give an address "
                "that needs no login, a signed one, or one with user and password "
                "(https://USER:PASSWORD@HOST/...)"
            )
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise VideoError(f"{self._called} cannot be read: HTTP {status}")
        header = response.headers
        try:
            check_fields(header)
            self._check_plain(response)
            chunked = is_chunked(header)
            length = None if chunked else length_of(header)
        except UnclearBodyError as error:
            raise VideoError(
                f"{self._called} cannot be read: {error}, so it is not clear where the file ends; give the "
                "address of another server"
            ) from error
        self._body = Body(response.fp, length=length, chunked=chunked)
        if status == HTTPStatus.PARTIAL_CONTENT:
            return self._part(response, resumed, length)
        self._set_version(response)
        self.size = length
        return 0

    def _set_version(self, response: http.client.HTTPResponse) -> None:
        etag = response.headers.get("ETag", "")
        self._version = etag if etag.startswith('"') and etag.isascii() and etag.isprintable() else None

    def _check_plain(self, response: http.client.HTTPResponse) -> None:
        """Bytes as they are in the file: a few compressed ones may stand for any number."""
        content = {*tokens(response.headers, "Content-Encoding")} - {"identity"}
        transfer = {*tokens(response.headers, "Transfer-Encoding")} - {"identity", "chunked"}
        if content or transfer:
            raise VideoError(
                f"{self._called} cannot be read: its server sends it compressed, and was asked not to; give "
                "an address that sends the file as it is"
            )

    def _part(self, response: http.client.HTTPResponse, resumed: int | None, length: int | None) -> int:
        """Where the part begins. It is the rest that was asked for, or all of the file."""
        begin = resumed or 0
        other = (
            f"{self._called} cannot be read: its server sends a part of it (HTTP 206), and was asked for all "
            "of it; give an address that sends the whole file"
            if resumed is None
            else f"{self._called} cannot be read on from byte {begin}: its server answered with another range"
        )
        found = _CONTENT_RANGE.fullmatch(", ".join(response.headers.get_all("Content-Range", [])))
        same = resumed is None or response.headers.get("ETag", self._version) == self._version
        if found is None or int(found[1]) != begin or not same:
            raise VideoError(other)
        known = None if resumed is None else self.size
        size = known if found[3] == "*" else int(found[3])
        if None not in (known, size) and size != known:
            raise VideoError(
                f"{self._called} changed while it was read: it had {known} bytes, and now {size}"
            )
        if size is None or int(found[2]) != size - 1 or length not in (None, size - begin):
            raise VideoError(other)
        if resumed is None:
            self._set_version(response)
        self.size = size
        return begin
