"""Judges the head of an HTTP response: whether its body is the file, from which byte on, and of how many."""

import http.client
import re
from dataclasses import dataclass
from http import HTTPStatus

from vbench.video.errors import VideoError
from vbench.video.fetch.byte_source import InterruptedFetchError
from vbench.video.fetch.http_body import (
    Body,
    UnclearBodyError,
    check_fields,
    is_chunked,
    length_of,
    tokens,
)

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """What is known of the file at an address."""

    size: int | None = None
    """Bytes; None if the server does not say."""
    version: str | None = None
    """Strong ETag (RFC 9110, 8.8.3); without one, nothing proves that a later part is of the same version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBody:
    """A response's body, ready to be read."""

    body: Body
    start: int
    """The byte of the file at which the body starts."""
    file: RemoteFile


def open_body(
    response: http.client.HTTPResponse, display_name: str, *, resume_at: int | None, known: RemoteFile
) -> OpenBody:
    """The body of a final response that is no redirect.

    Args:
        response: with its head read.
        display_name: the address, for messages.
        resume_at: the byte from which the server was asked to continue; None: it was asked for the whole
            file.
        known: the file, as an earlier response described it.

    Raises:
        VideoError: there is no such file (then from FileNotFoundError), or the response is not the file.
        InterruptedFetchError: the server is busy or failing; it may respond later.
    """
    _check_status(response.status, display_name)
    header = response.headers
    try:
        check_fields(header)
        _check_uncompressed(response, display_name)
        chunked = is_chunked(header)
        length = None if chunked else length_of(header)
    except UnclearBodyError as error:
        raise VideoError(
            f"{display_name} cannot be read: {error}, so it is unclear where the file ends; use another "
            "server"
        ) from error
    body = Body(response.fp, length=length, chunked=chunked)
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        return _partial(response, display_name, body, length, resume_at=resume_at, known=known)
    return OpenBody(body=body, start=0, file=RemoteFile(size=length, version=_strong_etag(response)))


def _check_status(status: int, display_name: str) -> None:
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise VideoError(f"{display_name} cannot be read: HTTP {status}") from FileNotFoundError()
    if 500 <= status < 600 or status in _BUSY:
        raise InterruptedFetchError(f"HTTP {status}")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise VideoError(
            f"{display_name} cannot be read: HTTP {status}, access denied; use an address that needs no "
            "login, a signed one, or one with user and password (https://USER:PASSWORD@HOST/...)"
        )
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise VideoError(f"{display_name} cannot be read: HTTP {status}")


def _check_uncompressed(response: http.client.HTTPResponse, display_name: str) -> None:
    """Accept only the file's own bytes: a few compressed ones may expand to any number."""
    content = {*tokens(response.headers, "Content-Encoding")} - {"identity"}
    transfer = {*tokens(response.headers, "Transfer-Encoding")} - {"identity", "chunked"}
    if content or transfer:
        raise VideoError(
            f"{display_name} cannot be read: the server sends it compressed although it was asked not to; "
            "use an address that serves the file as it is"
        )


def _partial(
    response: http.client.HTTPResponse,
    display_name: str,
    body: Body,
    length: int | None,
    *,
    resume_at: int | None,
    known: RemoteFile,
) -> OpenBody:
    """A partial response, which must be the requested rest of the file, or all of it."""
    start = resume_at or 0
    wrong_range = VideoError(
        f"{display_name} cannot be read: the server sends only a part of it (HTTP 206) although it was asked "
        "for the whole file; use an address that serves the whole file"
        if resume_at is None
        else f"{display_name} cannot be resumed at byte {start}: the server sent another range"
    )
    stated = _CONTENT_RANGE.fullmatch(", ".join(response.headers.get_all("Content-Range", [])))
    same_version = resume_at is None or response.headers.get("ETag", known.version) == known.version
    if stated is None or int(stated[1]) != start or not same_version:
        raise wrong_range
    known_size = None if resume_at is None else known.size
    size = known_size if stated[3] == "*" else int(stated[3])
    if None not in (known_size, size) and size != known_size:
        raise VideoError(
            f"{display_name} changed while it was being read: it had {known_size} bytes, now {size}; try "
            "again when it is final"
        )
    if size is None or int(stated[2]) != size - 1 or length not in (None, size - start):
        raise wrong_range
    version = _strong_etag(response) if resume_at is None else known.version
    return OpenBody(body=body, start=start, file=RemoteFile(size=size, version=version))


def _strong_etag(response: http.client.HTTPResponse) -> str | None:
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') and etag.isascii() and etag.isprintable() else None
